"""Objects that no row names: `nst repair` lists and removes them after a day, and touches nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import StorageError, UserError
from tasks.catalog import Catalog, layout
from tasks.fsck import orphans
from tasks.fsck.check import fsck
from tasks.fsck.orphans import find_orphans, remove_orphans, store_time
from tasks.heartbeat import beating
from tasks.layout import (
    checkpoint_key,
    copy_key,
    evidence_key,
    input_key,
    picture_key,
    preview_key,
    samples_key,
    thumbnail_key,
    weights_key,
)
from tasks.root import Root

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.store import Stat, Store

DAY = 86_400.0


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


CELL, KILLED = digest("cell")[:32], digest("killed")[:32]
"""Ids of cells."""


def head(number: int) -> str:
    return f"{number:032x}.jpg"


def of_picture(name: str, form: str = "png") -> dict[str, bytes]:
    """A picture and all that lies beside it under its digest."""
    copies = {copy_key(digest(name), content=content): b"copy" for content in (False, True)} if form == "gif" else {}
    return {picture_key(digest(name), form): name.encode(), thumbnail_key(digest(name)): b"small", **copies}


NAMED: dict[str, bytes] = {
    **of_picture("cell"), **of_picture("clip", "gif"), **of_picture("unpublished"),
    picture_key(digest("frame"), "png"): b"frame",
    preview_key(CELL, 10): b"10", preview_key(CELL, 20): b"20",
    weights_key(digest("weights")): b"weights",
    samples_key("trained", 5): b"5", samples_key("trained", 10): b"10",
    samples_key("begun", 5): b"5", checkpoint_key("begun", 5, "c" * 64): b"half a training",
    evidence_key("sick", 1, "json"): b"{}",
    "gallery/s-1/index.html": head(1).encode(), f"gallery/s-1/inputs/{head(1)}": b"shown",
    **{input_key(digest(name), ".PNG"): name.encode() for name in ("content", "one", "two", "mask", "start", "file")},
    **{input_key(digest(name), ""): name.encode() for name in ("in vain", "learnt", "parent", "planned", "unread")},
    "state/plans/aaaa.json": b'{"nst_version": "98", "uri": "s3://b/r/inputs/' + digest("planned").encode() + b'"}',
    "state/plans/bbbb.json": b'{"nst_version": "99", "c": "inputs/' + digest("unread").encode() + b'.png"}',
    "inputs/mine.png": b"a person's",
    "pictures/notes.txt": b"a person's", "previews/README": b"too", "models/mine.safetensors": b"too",
}  # fmt: skip
ORPHANS: dict[str, dict[str, bytes]] = {
    "pictures": {picture_key(digest("killed"), "png"): b"killed", picture_key(digest("other bits"), "gif"): b"bits"},
    "thumbnails (and copies of clips)": {
        thumbnail_key(digest("killed")): b"small",
        copy_key(digest("other bits")): b"copy",
        copy_key(digest("other bits"), content=True): b"copy",
    },
    "previews": {preview_key(CELL, 30): b"30", preview_key(KILLED, 10): b"10"},
    "files of weights": {weights_key(digest("trained twice")): b"twice"},
    "samples of models": {samples_key("given up", 5): b"5"},
    "checkpoints of trained models": {checkpoint_key("trained", 10, "d" * 64): b"done"},
    "large inputs beside pages": {f"gallery/s-1/inputs/{head(2)}": b"gone", f"gallery/no-page/inputs/{head(1)}": b"x"},
    "copies of inputs": {input_key(digest("withdrawn"), ".jpg"): b"w", input_key(digest("of nobody"), ".pth"): b"o"},
}
ALL = {key: data for objects in ORPHANS.values() for key, data in objects.items()}


def row(name: str, form: str = "png", **more: Any) -> dict[str, Any]:
    return {"cell_id": digest(name)[:32], "picture_digest": digest(name), "picture_format": form, **more}


@pytest.fixture
def root(store: Store) -> Root:
    """A root whose rows name what is in `NAMED`, and nothing of `ORPHANS`."""
    opened = Root(store.uri)
    for key, data in {**NAMED, **ALL}.items():
        opened.store.put(key, data)
    catalog = opened.catalog
    inputs = {
        "content_digest": digest("content"), "style_digests": json.dumps([digest("one"), digest("two")]),
        "content_mask_digest": digest("mask"), "init_digest": digest("start"),
        "weights_digest": f"sha256-{digest('file')}",
    }  # fmt: skip
    catalog.commit("results", "s", "b1", [row("cell", preview_steps="[10, 20]", **inputs), row("clip", "gif")])
    failed = {"cell_id": KILLED, "attempt": 1, "content_digest": digest("in vain")}
    catalog.commit("failures", "s", "f", [failed])
    learnt = {"style_digests": json.dumps([digest("learnt")]), "parent_model": digest("parent")}
    catalog.commit("models", "m", "u", [{"model_id": "taught", "weights_digest": digest("weights"), **learnt}])
    catalog.commit("frames", "s", "f", [{"frame_key": "f", "picture_digest": digest("frame")}])
    catalog.commit("models", "m", "t", [{"model_id": "trained", "weights_digest": digest("weights")}])
    for table in ("results", "frames", "models"):
        catalog.publish(table)
    catalog.commit("results", "s", "b2", [row("unpublished")])
    return Root(store.uri)


local = pytest.mark.parametrize("store", ["local"], indirect=True)


def keys(root: Root) -> set[str]:
    return {stat.key for stat in root.store.list("") if not stat.key.startswith(("catalog/", "state/results"))}


def made_old(root: Root, days: float = 2.0, only: set[str] | None = None) -> None:
    """Let files have been written days ago, as their folder says."""
    then = time.time() - days * DAY
    for key in only if only is not None else keys(root):
        os.utime(root.store.path(key), (then, then))


def counts(root: Root, now: float | None = None) -> dict[str, int]:
    found = find_orphans(root, time.time() if now is None else now)
    return {kind.kind: kind.old for kind in found if kind.old}


def test_what_no_row_names_is_listed_by_kind_and_removed_and_nothing_else(root: Root) -> None:
    before = keys(root)
    found = find_orphans(root, store_time(root.store), grace=-2)  # all that was written before two seconds from now
    wanted = {kind: (len(objects), sum(map(len, objects.values()))) for kind, objects in ORPHANS.items()}
    assert {kind.kind: (kind.number, kind.size) for kind in found} == wanted
    assert {kind.kind: (kind.old, kind.old_size) for kind in found} == wanted
    assert remove_orphans(root, grace=3600) == (0, 0)
    assert keys(root) == before
    assert remove_orphans(root, grace=-2) == (len(ALL), sum(map(len, ALL.values())))
    assert before - keys(root) == set(ALL)
    assert remove_orphans(root, grace=-2) == (0, 0)


@local
def test_where_there_are_many_pictures_they_are_listed_in_parts(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find_orphans(root, time.time(), grace=-2)
    monkeypatch.setattr(orphans, "_ONE_LISTING", 0)
    assert find_orphans(root, time.time(), grace=-2) == whole
    remove_orphans(root, grace=-2)
    assert not set(ALL) & keys(root)


@local
def test_what_was_written_within_a_day_stays(root: Root) -> None:
    made_old(root, 2)
    young = {next(iter(objects)) for objects in ORPHANS.values()}
    made_old(root, 0.9, young)
    assert counts(root) == {kind: len(some) - 1 for kind, some in ORPHANS.items() if len(some) > 1}
    remove_orphans(root)
    assert set(ALL) & keys(root) == young


@local
def test_samples_stay_while_a_training_writes_and_inputs_while_a_page_is_new(root: Root) -> None:
    made_old(root)
    root.store.put(samples_key("given up", 10), b"10")
    root.store.put("gallery/s-1/index.html", head(1).encode())
    remove_orphans(root)
    left = set(ALL) & keys(root)
    assert left == {samples_key("given up", 5), f"gallery/s-1/inputs/{head(2)}"}


def watched(root: Root, after: str, do: Callable[[], object], prefix: str = "") -> Root:
    """Return the root as a process has it for which something happens once, right after an operation of the store."""
    other, happened = Root(root.uri), list[str]()
    store, real = other.store, getattr(other.store, after)

    def call(key: str) -> Any:
        found = real(key)
        if key.startswith(prefix) and not happened:
            happened.append(key)
            do()
        return found

    setattr(store, after, call)
    return other


@local
def test_a_row_that_is_committed_after_the_listing_keeps_its_picture(root: Root) -> None:
    made_old(root)

    def commit() -> None:
        Catalog(root.store).commit("results", "s", "b3", [row("killed")])

    remove_orphans(watched(root, "list", commit, "pictures/"))
    kept = of_picture("killed")
    assert set(ALL) & keys(root) == set(kept)
    assert fsck(Root(root.uri), read_data=0).counts["orphan pictures"] == 0


@pytest.mark.parametrize("store", ["local", "s3"], indirect=True)
def test_a_plan_that_is_stored_after_the_listing_keeps_what_it_names(root: Root) -> None:
    key = input_key(digest("withdrawn"), ".jpg")

    def submit() -> None:
        root.store.put("state/plans/cccc.json", f'{{"uri": "{root.store.url(key)}"}}'.encode())

    remove_orphans(watched(root, "list", submit, "inputs/"), grace=-2)
    assert set(ALL) & keys(root) == {key}


def test_copies_that_nobody_names_are_noted(root: Root) -> None:
    root.store.delete("state/plans/bbbb.json")
    (note,) = [note for note in fsck(root, read_data=0).notes if "copies of inputs" in note]
    assert note.startswith("3 copies of inputs (8 bytes) belong to no result, failure, model or open plan")


@local
def test_a_picture_that_is_written_again_after_the_listing_stays(root: Root) -> None:
    """A resumed sweep makes the same bits as the batch that was killed, and commits their row a moment later."""
    made_old(root)
    again = picture_key(digest("killed"), "png")
    remove_orphans(watched(root, "list", lambda: root.store.put(again, b"killed"), "pictures/"))
    assert set(ALL) & keys(root) == {again}


@local
def test_a_sweep_that_begins_meanwhile_ends_the_removal(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    made_old(root)
    monkeypatch.setattr(orphans, "_AT_ONCE", 1)
    beat = beating(root.store, "aaaa1111")
    with pytest.raises(UserError, match="aaaa1111 is running"):
        remove_orphans(watched(root, "delete", beat.__enter__, "pictures/"))
    assert len(set(ALL) - keys(root)) == 1
    beat.__exit__(None, None, None)
    remove_orphans(root)
    assert not set(ALL) & keys(root)


@local
@pytest.mark.parametrize("damage", ["record", "file", "claim"])
def test_nothing_is_removed_where_rows_cannot_be_read(root: Root, damage: str) -> None:
    made_old(root)
    place = {"record": layout.records("results"), "file": "catalog/results/month=2", "claim": layout.claims("results")}
    key = root.store.list(place[damage])[-1].key
    root.store.put(key, b"{")
    before = keys(root)
    with pytest.raises(UserError, match=r"damaged|cannot be read"):
        remove_orphans(Root(root.uri))
    assert keys(root) == before


@local
def test_the_command_lists_first_and_removes_with_yes(root: Root) -> None:
    nst = CliRunner()
    made_old(root, only=set(ORPHANS["files of weights"]))
    before = keys(root)
    dry = nst.invoke(app, ["repair", "--read-data", "0", "--root", root.uri]).output
    assert "2 pictures (10 bytes) that no row names, 0 of them (0 bytes) for more than 24 hours" in dry
    assert "1 file of weights (5 bytes) that no row names, 1 of them (5 bytes) for more than 24 hours" in dry
    assert "pass --yes" in dry
    assert keys(root) == before
    done = nst.invoke(app, ["repair", "--read-data", "0", "--yes", "--root", root.uri]).output
    assert "removed 1 object (5 bytes)" in done
    assert before - keys(root) == set(ORPHANS["files of weights"])


@local
def test_a_clock_of_this_machine_that_is_days_ahead_removes_nothing(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, now = keys(root), time.time()
    monkeypatch.setattr("time.time", lambda: now + 10 * DAY)
    assert remove_orphans(root) == (0, 0)
    assert keys(root) == before


@local
def test_a_store_that_dates_nothing_is_left_as_it_is(root: Root) -> None:
    def undated(key: str) -> Stat | None:
        found = type(root.store).head(root.store, key)
        return found and type(found)(found.key, found.size, found.etag)

    root.store.head = undated
    before = keys(root)
    with pytest.raises(StorageError, match="does not say when objects were written"):
        remove_orphans(root, grace=-2)
    assert keys(root) == before
