"""A damaged root of clips: `nst fsck` names every frame, and after `nst repair` the next run makes it again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sweeps import plan, rows, run, write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")
from cells import blocks

from tasks.catalog import layout
from tasks.fsck.check import fsck
from tasks.fsck.orphans import find_orphans, store_time
from tasks.fsck.repair import plan_repair, repair
from tasks.root import Root
from tasks.work import clip_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.fsck.findings import Report

MANIFEST = """
name: moving
contents: {video: clip/}
styles: waves.png
method:
  {name: gatys, size: 64, steps: 2, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
"""


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A published clip of four frames."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "clip").mkdir()
    scene = blocks(1, 48, 80)
    for number in range(4):
        write(tmp_path / f"clip/{number}.png", np.ascontiguousarray(scene[:, 2 * number : 2 * number + 64]))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    return made(tmp_path)


def made(folder: Path) -> Any:
    prepared = plan(folder, MANIFEST)
    run(prepared)
    prepared.root.catalog.publish("frames")
    return prepared


def frames(sweep: Any) -> list[dict[str, Any]]:
    table = Root(sweep.root.uri).catalog.read("frames", ["frame", "frame_key", "cell_id", "picture_digest"])
    return sorted(table.to_pylist(), key=lambda row: row["frame"])


def check(sweep: Any, read_data: float = 1.0) -> Report:
    """Return what a new process finds."""
    return fsck(Root(sweep.root.uri), read_data=read_data)


def key(digest: str) -> str:
    return f"pictures/{digest[:2]}/{digest}.png"


def change(sweep: Any, where: str) -> None:
    data = bytearray(sweep.root.store.get(where))
    data[len(data) // 2] ^= 0xFF
    sweep.root.store.put(where, bytes(data))


DAMAGE: dict[str, tuple[Callable[[Any, str], object], str]] = {
    "missing": (lambda s, where: s.root.store.delete(where), "picture of frame 2 of cell {cell} is missing"),
    "torn": (
        lambda s, where: s.root.store.put(where, s.root.store.get(where)[:100]),
        "100 bytes, but the row of frame 2 of cell {cell} says ",
    ),
    "changed": (change, "the bytes of the picture of frame 2 of cell {cell} do not have its digest"),
}


def test_a_whole_clip_has_nothing_wrong(sweep):
    report = check(sweep)
    assert find_orphans(Root(sweep.root.uri), store_time(sweep.root.store), grace=-2) == ()
    assert report.ok, report.lines()
    assert report.notes == []
    assert report.counts["pictures of frames"] == report.counts["pictures of frames read"] == 4
    assert report.counts["rows of frames"] == 4
    assert check(sweep, read_data=0).counts["pictures of frames read"] == 0


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_frame_is_found_and_mended_by_repair_and_the_next_run(sweep, damage, tmp_path, monkeypatch):
    do, expected = DAMAGE[damage]
    before = rows(sweep, "results")
    third = frames(sweep)[2]
    do(sweep, key(third["picture_digest"]))
    (problem,) = check(sweep).problems
    assert key(third["picture_digest"]).startswith(problem.where)  # a missing one has no name that says its format
    assert problem.what.startswith(expected.format(cell=third["cell_id"]))
    root = Root(sweep.root.uri)
    planned = plan_repair(root)
    assert [row.id for row in planned.frames] == [third["frame_key"]]
    assert [row.id for row in planned.cells] == [third["cell_id"]]
    assert repair(root, planned) == 2
    left = check(sweep)
    assert left.ok, left.lines()
    assert [row["frame"] for row in frames(sweep)] == [0, 1, 3]
    stylized = []
    real = clip_frames.stylize_in_memory

    def watch(requests, *rest):
        stylized.append(requests[0].content.digest.rpartition("#")[2])
        return real(requests, *rest)

    monkeypatch.setattr(clip_frames, "stylize_in_memory", watch)
    again = made(tmp_path)
    assert stylized == ["2"]  # the others are on record
    assert check(again).ok
    assert frames(again)[2]["picture_digest"] == third["picture_digest"]
    assert [row["picture_digest"] for row in rows(again, "results")] == [row["picture_digest"] for row in before]


def test_a_picture_that_no_frame_names_is_an_orphan(sweep):
    digest = hashlib.sha256(b"orphan").hexdigest()
    sweep.root.store.put(key(digest), b"orphan")
    report = check(sweep)
    assert report.ok, report.lines()
    assert report.counts["orphan pictures"] == 1


def test_rows_of_frames_that_are_lost_are_found(sweep):
    sweep.root.catalog.drop("frames", "frame_key", {frames(sweep)[1]["frame_key"]})
    (problem,) = check(sweep).problems
    assert problem.what == "done, but 3 of the 4 frames of its clip are on record"
    assert [row.id for row in plan_repair(Root(sweep.root.uri)).cells] == sweep.plan.cells.ids


def test_a_damaged_table_of_frames_is_found(sweep):
    store = sweep.root.store
    (file,) = [stat.key for stat in store.list("catalog/frames/") if "seg-" in stat.key]
    data = store.get(file)
    store.put(file, data[: len(data) // 2])
    assert check(sweep).problems[0].where == file
    store.put(file, data)
    assert check(sweep).ok
    store.put(layout.claim("frames", 0), b"{")
    assert [problem.where for problem in check(sweep).problems] == [layout.claim("frames", 0)]


def test_a_frame_that_two_cells_show_is_named_for_both(sweep, tmp_path):
    """The first frames of a shorter selection of the same clip are taken over, with rows of their own."""
    shorter = plan(tmp_path, MANIFEST.replace("clip/", "clip/, frames: 0-1"))
    run(shorter)
    first = frames(sweep)[0]
    assert sum(row["picture_digest"] == first["picture_digest"] for row in frames(sweep)) == 2
    sweep.root.store.delete(key(first["picture_digest"]))
    assert len(check(sweep).problems) == 2
    planned = plan_repair(Root(sweep.root.uri))
    assert {row.id for row in planned.cells} == {*sweep.plan.cells.ids, *shorter.plan.cells.ids}
