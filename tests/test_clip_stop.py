"""A run of a clip that is stopped, and one that fails, say how many frames are kept."""

from __future__ import annotations

import re
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import warm
from cells import blocks
from sweeps import write

from flows.order.summary import SweepSummary

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

FRAMES = 40
MANIFEST = """\
name: moving
contents: {video: clip/%s}
styles: waves.png
method:
  {name: gatys, size: 64, steps: 40, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
sweep: {style_weight: [1, 10]}
"""
DEADLINE_S = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip of so many stills that no run of this test comes to its end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "clip").mkdir()
    scene = blocks(1, 48, 66)
    for number in range(FRAMES):
        write(tmp_path / f"clip/{number:03}.png", np.ascontiguousarray(scene[:, number % 3 : number % 3 + 64]))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    return tmp_path


def committed(folder: Path) -> int:
    """Return the number of commits, each of one frame of both cells."""
    return len(list(folder.glob("out/state/frames/wal/*/*.json")))


def told(text: str) -> tuple[int, int]:
    """Return how many frames are said to be kept, and of how many."""
    ((kept, total),) = re.findall(
        r"(\d+) of the (\d+) frames of clips that are not done are kept, and the next run goes on there", text
    )
    return int(kept), int(total)


def test_a_run_that_is_stopped_says_how_many_frames_are_kept(folder):
    (folder / "m.yaml").write_text(MANIFEST % "")
    process = warm.start("run", "m.yaml", "--inline", "--devices", "cpu", cwd=folder)
    until = time.monotonic() + DEADLINE_S
    while committed(folder) < 2:
        assert time.monotonic() < until, process.said
        assert process.poll() is None, process.said
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    ended = process.ended()
    assert ended.returncode == 130, ended.stderr
    assert "0 of 2 cells are done; " in ended.stderr
    assert told(ended.stderr) == (2 * committed(folder), 2 * FRAMES)
    assert 4 <= 2 * committed(folder) < 2 * FRAMES


def test_a_run_that_fails_says_how_many_frames_are_kept():
    failed = SweepSummary(sweep_id="s", name="moving", total=2, done_before=0, failed=1, frames=(40, 12))
    assert told("\n".join(failed.lines("out"))) == (12, 40)
    none_kept = SweepSummary(sweep_id="s", name="moving", total=2, done_before=0, failed=1, frames=(40, 0))
    assert "kept" not in "\n".join(none_kept.lines("out"))
