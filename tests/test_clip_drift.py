"""What stands still in a clip stays as it was painted, however many frames follow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from cells import blocks
from PIL import Image
from sweeps import plan, run, write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

from tasks.work import clip_rest

if TYPE_CHECKING:
    from pathlib import Path

FRAMES = 16
MANIFEST = """\
name: still
contents: {video: clip/}
styles: waves.png
method:
  {name: gatys, size: 64, steps: 6, style_weight: 30, content_layers: relu2_1, style_layers: [relu1_1, relu2_1],
   backbone: {weights: draft}, temporal_weight: 10, video: {steps: 6}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip: a square goes over the lower half of a picture that stands still."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "clip").mkdir()
    for number in range(FRAMES):
        frame = blocks(1, 48, 64)
        frame[30:42, 3 * number : 3 * number + 12] = blocks(2, 12, 12)
        write(tmp_path / f"clip/{number:02}.png", frame)
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    return tmp_path


def changes(folder: Path) -> list[float]:
    """Return how far the upper third of each frame is from that of the first one, in levels of 255."""
    prepared = plan(folder, MANIFEST)
    run(prepared)
    rows = prepared.root.catalog.read("frames", ["cell_id", "pass", "frame", "picture_uri"]).to_pylist()
    found = [np.asarray(Image.open(row["picture_uri"].removeprefix("file://")), np.int16)[:16] for row in rows]
    return [float(np.abs(each - found[0]).mean()) for each in found]


def test_the_differences_of_frames_do_not_add_up_where_nothing_moves(folder, monkeypatch):
    held = changes(folder)
    assert len(held) == FRAMES
    assert held[1] > 0  # a frame may differ from what it is held to
    assert max(held[2:]) < 1.5 * held[1]
    (folder / "out").rename(folder / "held")
    monkeypatch.setattr(clip_rest.Rest, "held", lambda _, before, __: before)
    drifting = changes(folder)
    assert drifting[-1] > 2 * max(held)  # what they are held to is what keeps them


def test_a_run_that_goes_on_holds_still_places_to_the_same(folder):
    whole = plan(folder, MANIFEST)
    run(whole)
    digests = {row["frame"]: row["picture_digest"] for row in frames(whole)}
    (folder / "out").rename(folder / "whole")
    run(plan(folder, MANIFEST.replace("clip/", "clip/, frames: 0-8")))
    longer = plan(folder, MANIFEST)
    run(longer)
    assert {row["frame"]: row["picture_digest"] for row in frames(longer)} == digests


def frames(prepared) -> list[dict]:
    wanted = ("cell_id", set(prepared.plan.cells.ids))
    return prepared.root.catalog.read("frames", ["cell_id", "frame", "picture_digest"], where=wanted).to_pylist()
