from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import pytest

from tasks.catalog import Catalog, layout
from tasks.catalog.log import State
from tasks.fsck.check import Report, fsck
from tasks.root import open_root
from tasks.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.store import Store


def check(store: Store, read_data: float = 1.0) -> Report:
    """Return what a new process finds."""
    return fsck(open_root(store.uri), read_data=read_data)


def picture(store: Store, number: int) -> dict:
    data = b"picture %d" % number
    digest = hashlib.sha256(data).hexdigest()
    store.put(f"pictures/{digest[:2]}/{digest}.png", data)
    return {"cell_id": f"c{number}", "picture_digest": digest, "picture_bytes": len(data)}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Four published cells in two files, one committed and unpublished cell, a trace, a failure."""
    store = open_store(tmp_path)
    catalog = Catalog(store, checkpoint_every=2)
    for batch in range(2):
        catalog.commit("results", "s", f"b{batch}", [picture(store, 2 * batch), picture(store, 2 * batch + 1)])
        catalog.publish("results")
    catalog.commit("traces", "s", "b0", [{"cell_id": "c0", "step": step, "level": 0} for step in range(3)])
    catalog.commit("failures", "s", "b0", [{"cell_id": "c9", "attempt": 1}])
    catalog.publish("traces")
    catalog.publish("failures")
    catalog.commit("results", "s", "b2", [picture(store, 4)])
    return store


def files(store: Store, prefix: str = "catalog/results/month=2") -> list[str]:
    return [stat.key for stat in store.list(prefix)]


def test_a_whole_root_has_nothing_wrong(store: Store) -> None:
    report = check(store)
    assert report.ok, report.lines()
    assert report.notes == []
    assert report.counts["pictures"] == report.counts["pictures read"] == 5
    assert report.counts["rows of results"] == 4
    assert report.counts["unpublished rows"] == 1
    catalog = Catalog(store)
    for table in ("results", "traces"):
        catalog.publish(table)
        catalog.compact(table, open_files=2)
        catalog.gc(table, grace=0)
    assert check(store).ok
    assert check(store).counts["records"] == 1  # the failure's


def test_an_empty_root_has_nothing_wrong(tmp_path: Path) -> None:
    report = fsck(open_root(str(tmp_path)))
    assert report.ok
    assert report.lines()[-1] == "nothing wrong"


def test_a_share_of_the_pictures_is_read(store: Store) -> None:
    assert check(store, read_data=0).counts["pictures read"] == 0
    read = [check(store, read_data=0.5).counts["pictures read"] for _ in range(2)]
    assert read[0] == read[1] < 5


def test_leftovers_are_notes(store: Store) -> None:
    orphan = hashlib.sha256(b"orphan").hexdigest()
    store.put(f"pictures/{orphan[:2]}/{orphan}.png", b"orphan")
    store.delete(files(store)[-1])  # as if its publisher had died after the claim
    report = check(store)
    assert report.ok, report.lines()
    assert len(report.notes) == 2
    assert "next publishing writes it" in report.notes[0]
    assert report.counts["orphan pictures"] == 1


def flip(store: Store, key: str, at: int) -> None:
    data = bytearray(store.get(key))
    data[at] ^= 0xFF
    store.put(key, bytes(data))


def lose_file(store: Store) -> None:
    Catalog(store).gc("results", grace=0)
    store.delete(files(store)[0])


def repeat_rows(store: Store) -> None:
    store.put("catalog/results/month=2026-11/seg-copy.parquet", store.get(files(store)[0]))


def publish_twice(store: Store) -> None:
    catalog = Catalog(store)
    body = json.loads(store.get(layout.claim("results", 0))) | {"claim": "other"}
    store.put(layout.claim("results", 2), json.dumps(body).encode())
    catalog.heal("results")


def wrong_checkpoint(store: Store) -> None:
    ledger = Catalog(store).ledger("results")
    ledger.sync()
    ledger.state.keys.discard("c0")
    ledger.checkpoint()


DAMAGE: dict[str, tuple[Callable[[Store], object], str]] = {
    "a picture is missing": (lambda s: s.delete(files(s, "pictures/")[0]), "is missing"),
    "a picture is cut": (lambda s: s.put(files(s, "pictures/")[0], b"picture"), "the row of cell"),
    "a picture is changed": (lambda s: flip(s, files(s, "pictures/")[0], 0), "do not have its digest"),
    "a file and its records are gone": (lose_file, "published rows is missing"),
    "a file is damaged": (lambda s: flip(s, files(s)[0], 60), "not readable"),
    "a file is empty": (lambda s: s.put(files(s)[0], b""), "not readable"),
    "a file is another": (lambda s: s.put(files(s)[0], s.get(files(s)[1])), "keys differ from the log"),
    "a stranger's file": (repeat_rows, "no claim knows"),
    "a claim is missing": (lambda s: s.delete(layout.claim("results", 0)), "claim is missing"),
    "a claim is damaged": (lambda s: s.put(layout.claim("results", 1), b"{"), "not readable"),
    "keys are published twice": (publish_twice, "published before"),
    "a record is damaged": (lambda s: s.put(layout.record("results", "s/b2"), b"{}"), "not readable"),
    "a checkpoint is damaged": (lambda s: s.put(layout.checkpoint("results", 2), b"x"), "checkpoint is not readable"),
    "a checkpoint is wrong": (wrong_checkpoint, "differs from the log"),
    "a checkpoint is of another log": (
        lambda s: s.put(layout.checkpoint("results", 7), State(number=7).pack()),
        "claims that the log does not have",
    ),
    "the anchor is missing": (lambda s: s.delete(files(s, layout.anchors("results"))[0]), "anchor is missing"),
    "the anchor has rows": (
        lambda s: s.put(files(s, layout.anchors("results"))[0], s.get(files(s)[0])),
        "the schema anchor has rows",
    ),
    "no picture was noted": (
        lambda s: Catalog(s).commit("results", "s", "b9", [{"cell_id": "c7"}]),
        "names no picture",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_found(store: Store, damage: str) -> None:
    do, expected = DAMAGE[damage]
    do(store)
    before = {stat.key: stat.etag for stat in store.list("")}
    report: Report = check(store)
    assert expected in "\n".join(str(problem) for problem in report.problems)
    assert all(problem.hint for problem in report.problems)
    assert "problem" in report.lines()[-1]
    assert {stat.key: stat.etag for stat in store.list("")} == before


def test_models_have_their_weights_and_checkpoints_are_whole(store: Store) -> None:
    catalog = Catalog(store)
    data = b"weights"
    digest = hashlib.sha256(data).hexdigest()
    weights = f"models/{digest[:2]}/{digest}.safetensors"
    store.put(weights, data)
    store.put("models/00/left.safetensors", b"of a training that was killed")
    catalog.commit("models", "m", "trained", [{"model_id": "m", "weights_digest": digest, "weights_bytes": len(data)}])
    kept = f"state/trainings/n/checkpoint-000000003-{digest[:16]}.safetensors"
    store.put(kept, data)
    store.put(kept.replace("/n/", "/m/"), data)
    report = check(store)
    assert report.ok, report.lines()
    assert (report.counts["models"], report.counts["checkpoints"]) == (1, 2)
    assert [note.split()[:2] for note in report.notes] == [["1", "weights"], ["1", "checkpoints"]]
    store.put(kept, b"damaged")
    store.put(weights, b"other")
    assert [problem.where for problem in check(store).problems] == [weights, kept]
    store.delete(weights)
    assert "missing" in check(store).problems[0].what
