"""kill -9 of a run of clips at named moments: the same frames bit for bit, at most one of each chain made twice."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import warm
from cells import blocks
from killed_at import kill_before
from sweeps import write

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

FRAMES = 4
MANIFEST = """\
name: moving
contents: {video: clip/}
styles: waves.png
method:
  {name: gatys, size: 64, steps: 2, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
sweep: {style_weight: [1, 10]}
"""


def frames(root: Path) -> dict[tuple[str, int], str]:
    table = pd.read_parquet(root / "catalog" / "frames")
    assert not table.frame_key.duplicated().any()
    return {(row.cell_id, row.frame): row.picture_digest for row in table.itertuples()}


def run(folder: Path, root: Path, pattern: str = "", count: int = 0) -> int | None:
    """Run the sweep in a process group of its own, be killed at the event if `count` is not 0; return the exit code."""
    process = warm.CONTEXT.Process(target=run_until, args=(str(folder), str(root), pattern, count))
    process.start()
    process.join(300)
    return process.exitcode


def run_until(folder: str, root: str, pattern: str, count: int) -> None:
    """Be the command. Its worker is its own child, held to the same event, and a member of its group."""
    from flows.__main__ import main

    os.setsid()
    os.chdir(folder)
    os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
    if count:
        kill_before(pattern, count)
    sys.argv = ["nst", "run", "clip.yaml", "--inline", "--devices", "cpu", "--root", root]
    with pytest.MonkeyPatch.context() as patch:
        forking = SimpleNamespace(get_context=lambda _: multiprocessing.get_context("fork"))
        patch.setattr("tasks.work.worker.multiprocessing", forking)
        main()


MOMENTS = {
    "the first frame of the content is kept on this machine": (r"/frame-\d+\.npy$", 1, 0),
    "the motion between the first frames is kept": (r"/motion-.*\.npy$", 1, 0),
    "the second picture of the first frame": (r"/pictures/.*\.png$", 2, 0),
    "the commit of the third frame": ("/frames/wal/", 3, 2),
    "the file of the first clip": (r"/pictures/.*\.mp4$", 1, 4),
    "the thumbnail of the second clip": (r"/thumbs/.*\.webp$", 2, 4),
    "the commit of the clips": ("/results/wal/", 1, 4),
    "the file of published rows of the clips": ("/catalog/results/month=", 1, 4),
}
"""Before what a run is killed: the file that would get its name next, the how manyth such file of its process that is,
and how many frames are committed then. Each run begins where the one before was killed."""

EACH_FRAME = {
    f"{what} of frame {frame}": (*event, frame)
    for frame in range(FRAMES)
    for what, event in {
        "the first picture": (
            r"/pictures/.*\.png$",
            3 if frame else 1,
        ),  # after those of the frame before, not committed
        "the second picture": (r"/pictures/.*\.png$", 2),
        "the commit": ("/frames/wal/", 1),
    }.items()
}
"""The same of every frame."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("moments", [MOMENTS, pytest.param(EACH_FRAME, marks=pytest.mark.proof)], ids=["one", "each"])
def test_a_killed_run_goes_on_where_it_was_with_the_same_frames(tmp_path, moments):
    (tmp_path / "clip").mkdir()
    scene = blocks(1, 48, 100)
    for number in range(FRAMES):
        write(tmp_path / f"clip/{number}.png", np.ascontiguousarray(scene[:, 2 * number : 2 * number + 64]))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    (tmp_path / "clip.yaml").write_text(MANIFEST)
    root = tmp_path / "killed"
    for moment, (*event, done) in moments.items():
        assert run(tmp_path, root, *event) == -signal.SIGKILL, moment
        committed = list((root / "state" / "frames" / "wal").rglob("*.json"))
        assert len(committed) == done, moment  # what was committed is not made again
    assert run(tmp_path, root) == 0
    assert run(tmp_path, tmp_path / "whole") == 0
    expected = frames(tmp_path / "whole")
    assert len(expected) == 2 * FRAMES
    assert frames(root) == expected
    assert pd.read_parquet(root / "catalog" / "failures").empty
    clips = [pd.read_parquet(each / "catalog" / "results").set_index("cell_id") for each in (root, tmp_path / "whole")]
    assert clips[0].picture_digest.to_dict() == clips[1].picture_digest.to_dict()  # the clips' files, too
