"""A damaged object below a root is one line that names it, in every command; what is derived is made again."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import flows.__main__ as command
from nst.errors import StorageError, UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.catalog import Catalog, layout
from tasks.catalog.publish import plan
from tasks.fsck.check import fsck as check_root
from tasks.root import Root, open_root
from tasks.store import open_store
from tasks.store.local import ASIDE, LEFTOVER_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.catalog.log import Claim
    from tasks.fsck.findings import Report
    from tasks.store import Store

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PORTAL = b"<html><body>Please accept our terms</body></html>"
"""What a captive portal answers to every request."""

GARBAGE = {"portal": PORTAL, "empty": b"", "list": b"[]", "number": b"17", "torn": b'{"op": "add", "month": "2026-1'}
GARBAGE["nested"] = b"[" * 200_000

MANIFEST = """\
name: small
contents: a.png
styles: a.png
method: {name: gatys, size: 24, steps: 1, backbone: {weights: random}}
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    (tmp_path / "a.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (tmp_path / "small.yaml").write_text(MANIFEST)
    opened = open_root(str(tmp_path / "out"))
    catalog = opened.catalog
    for number in range(2):
        common = {"sweep_id": f"s{number}", "sweep_name": "s", "submitted_at": NOW}
        catalog.commit("sweeps", f"s{number}", "cells", [{"cell_id": f"c{number}"}], common=common)
        catalog.commit("results", f"s{number}", "b", [{"cell_id": f"c{number}"}])
        for table in ("sweeps", "results"):
            catalog.publish(table)
    return opened


def nst(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run the command in this process as its entry point does; return its exit code and what it says of errors."""
    monkeypatch.setattr("sys.argv", ["nst", *arguments])
    monkeypatch.setattr(command, "quiet_c_libraries", lambda: None)  # it gives the process another stderr
    code: object = 0
    try:
        command.main()
    except SystemExit as leave:
        code = leave.code
    return int(str(code or 0)), capfd.readouterr().err


def fsck(root: Root) -> Report:
    """Return what a new process finds."""
    return check_root(Root(root.uri))


def segment(store: Store) -> str:
    return next(stat.key for stat in store.list("catalog/sweeps/month=2"))


PLACES: dict[str, Callable[[Store], str]] = {
    "claim": lambda _: layout.claim("sweeps", 1),
    "claim of results": lambda _: layout.claim("results", 0),
    "segment": segment,
}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("place", PLACES)
def test_a_damaged_object_is_one_line_in_status(root: Root, place: str, garbage: str, monkeypatch, capfd) -> None:
    key = PLACES[place](root.store)
    root.store.put(key, GARBAGE[garbage])
    code, text = nst(monkeypatch, capfd, "status", "--root", root.uri)
    assert code == 2
    assert len([line for line in text.splitlines() if not line.startswith("reading and planning ")]) == 1
    assert key in text
    assert "nst fsck" in text


@pytest.mark.parametrize("what", ["plan", "run"])
def test_a_damaged_claim_is_one_line_in_plan_and_run(root: Root, tmp_path: Path, what: str, monkeypatch, capfd) -> None:
    root.store.put(layout.claim("results", 1), PORTAL)
    code, text = nst(monkeypatch, capfd, what, str(tmp_path / "small.yaml"), "--root", root.uri)
    assert code == 2
    assert len([line for line in text.splitlines() if not line.startswith("reading and planning ")]) == 1
    assert layout.claim("results", 1) in text


@pytest.mark.parametrize(
    "garbage",
    [
        *GARBAGE.values(),
        b'{"common": {}, "rows": [{"loss": 1.0}]}',
        b'{"common": 1, "rows": 2}',
        b'{"common": {}, "rows": [{"cell_id": "c9", "loss": "low"}]}',
        b'{"common": {}, "rows": [{"cell_id": "c9", "loss": 1%s}]}' % (b"0" * 400),
        b'{"common": {"finished_at": 17}, "rows": [{"cell_id": "c9"}]}',
        b'{"common": {"finished_at": "soon"}, "rows": [{"cell_id": "c9"}]}',
        b'{"common": {"sweep_id": "\\ud800"}, "rows": [{"cell_id": "c9"}]}',
        b'{"common": {"width": 1.5}, "rows": [{"cell_id": "c9"}]}',
        b'{"common": {}, "rows": [{"cell_id": ["c9"]}]}',
    ],
)
def test_a_damaged_commit_record_stops_nobody(root: Root, garbage: bytes, monkeypatch, capfd) -> None:
    root.store.put(layout.record("results", "s9/b"), garbage)
    assert nst(monkeypatch, capfd, "status", "--root", root.uri)[0] == 0
    catalog = Catalog(root.store)
    catalog.commit("results", "s3", "b", [{"cell_id": "c3"}])
    assert catalog.publish("results") == 1
    assert catalog.keys("results") == {"c0", "c1", "c3"}
    assert [finding.where for finding in fsck(root).problems][:1] == [layout.record("results", "s9/b")]


CLAIMS: dict[str, dict[str, object]] = {
    "keys are lists": {"keys": [[1]]},
    "a month that leads elsewhere": {"month": "../../../../../x"},
    "a month of a line": {"month": "2026-11\n"},
    "no month": {"month": None},
    "a time of text": {"at": "now"},
    "a time without end": {"at": 10**400},
    "rows of text": {"rows": "1"},
    "fewer rows than none": {"rows": -1},
    "a record that leads elsewhere": {"records": [["../../x", "0"]]},
    "records of numbers": {"records": [[1, 2]]},
    "skipped rows that are none": {"skip": {"s0/b": "all"}},
    "an input that leads elsewhere": {"op": "compact", "inputs": ["../../x"]},
    "values of a drop that are lists": {"op": "drop", "rows_left": 0, "values": [["c0"]]},
    "a drop without rows": {"op": "drop"},
    "an operation that is none": {"op": ["add"]},
}


@pytest.mark.parametrize("damage", CLAIMS)
def test_a_claim_of_wrong_types_is_one_line_in_status_and_found_by_fsck(
    root: Root, damage: str, monkeypatch, capfd
) -> None:
    key = layout.claim("results", 1)
    root.store.put(key, json.dumps(json.loads(root.store.get(key)) | CLAIMS[damage]).encode())
    code, text = nst(monkeypatch, capfd, "status", "--root", root.uri)
    assert code == 2
    assert len(text.splitlines()) == 1
    assert f"{key} is damaged: it is no claim: " in text
    assert "nst fsck" in text
    assert [(finding.where, "not readable" in finding.what) for finding in fsck(root).problems] == [(key, True)]


@pytest.mark.parametrize("what", ["status", "plan", "run"])
def test_a_lost_claim_is_one_line_and_is_not_made_again(
    root: Root, tmp_path: Path, what: str, monkeypatch, capfd
) -> None:
    for table in ("results", "sweeps"):
        root.store.delete(layout.claim(table, 0))
    manifest = [] if what == "status" else [str(tmp_path / "small.yaml")]
    code, text = nst(monkeypatch, capfd, what, *manifest, "--root", root.uri)
    assert code == 2
    assert len([line for line in text.splitlines() if not line.startswith("reading and planning ")]) == 1
    assert "log/00000000.json is missing, but later claims are there" in text
    assert "nst fsck" in text
    assert root.store.head(layout.claim("results", 0)) is None
    with pytest.raises(UserError, match=r"00000000\.json is missing"):
        Catalog(root.store).publish("results")
    assert {finding.what for finding in fsck(root).problems} == {"claim is missing"}


def to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


HOLDERS: dict[str, Callable[[Path], object]] = {
    "a link to nothing": to_nothing,
    "a link to itself": lambda path: path.symlink_to(path),
    "a folder": lambda path: path.mkdir(),
    "a pipe or device": os.mkfifo,
}


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("what", HOLDERS)
def test_a_claim_whose_name_holds_no_file_ends_in_one_line(
    root: Root, what: str, number: int, monkeypatch, capfd
) -> None:
    path = Path(root.uri.removeprefix("file://"), layout.claim("results", number))
    path.unlink(missing_ok=True)
    HOLDERS[what](path)
    code, text = nst(monkeypatch, capfd, "status", "--root", root.uri)
    assert code == 2
    assert len(text.splitlines()) == 1
    assert f"{layout.claim('results', number)} is {what}, not a file" in text
    catalog = Catalog(root.store)
    catalog.commit("results", "s3", "b", [{"cell_id": "c3"}])
    with pytest.raises(UserError, match=rf"is {what}, not a file"):
        catalog.publish("results")
    assert layout.claim("results", number) in {finding.where for finding in fsck(root).problems}


@pytest.mark.parametrize(
    "place", [lambda s: s.list(layout.anchors("results"))[0].key, segment, lambda _: layout.record("results", "s9/b")]
)
@pytest.mark.parametrize("what", HOLDERS)
def test_fsck_finds_every_name_that_holds_no_file(
    root: Root, tmp_path: Path, place: Callable[[Store], str], what: str
) -> None:
    key = place(root.store)
    path = tmp_path / "out" / key
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    HOLDERS[what](path)
    assert any(finding.where == key and what in finding.what for finding in fsck(root).problems)


@pytest.mark.parametrize("what", ["status", "fsck", "plan"])
def test_a_root_on_a_disk_that_is_away_is_one_line(tmp_path: Path, root: Root, what: str, monkeypatch, capfd) -> None:
    (tmp_path / "out").rename(tmp_path / "disk")
    (tmp_path / "out").symlink_to("unplugged")
    manifest = [str(tmp_path / "small.yaml")] if what == "plan" else []
    code, text = nst(monkeypatch, capfd, what, *manifest, "--root", root.uri)
    assert code == 2
    assert len([line for line in text.splitlines() if not line.startswith("reading and planning ")]) == 1
    assert "out is a link to nothing (is the disk mounted?)" in text
    (tmp_path / "out").unlink()
    (tmp_path / "out").symlink_to("disk")
    assert nst(monkeypatch, capfd, "status", "--root", root.uri)[0] == 0


def test_a_damaged_checkpoint_or_ticket_is_passed_over(root: Root) -> None:
    root.store.put(layout.checkpoint("results", 2), PORTAL)
    root.store.put(layout.tickets("results") + "other.json", PORTAL)
    catalog = Catalog(root.store, single_publisher=True)
    catalog.commit("results", "s3", "b", [{"cell_id": "c3"}])
    assert catalog.publish("results") == 1


def test_merging_names_what_is_damaged(root: Root) -> None:
    root.store.put(root.store.list("catalog/results/month=2")[0].key, PORTAL)
    with pytest.raises(UserError, match=r"catalog/results/.* is damaged.*nst fsck"):
        Catalog(root.store).compact("results", open_files=2)


@pytest.mark.parametrize("left", [0, 100])
def test_publishing_writes_a_damaged_anchor_again(root: Root, left: int) -> None:
    key = root.store.list(layout.anchors("results"))[0].key
    whole = root.store.get(key)
    root.store.put(key, whole[:left])
    assert [finding.where for finding in fsck(root).problems] == [key]
    Catalog(root.store).publish("results")
    assert root.store.get(key) == whole
    assert len(root.store.list(layout.anchors("results"))) == 1
    assert not [finding for finding in fsck(root).problems if "anchor" in finding.what]


def test_a_stranger_among_the_anchors_is_passed_over_and_found(root: Root) -> None:
    stranger = layout.anchors("results") + "0-schema-mine.parquet"
    root.store.put(stranger, PORTAL)
    Catalog(root.store).publish("results")
    assert [finding.where for finding in fsck(root).problems] == [stranger]


def test_an_older_anchor_that_is_damaged_is_found(root: Root) -> None:
    older = layout.anchor("results", 9999, ".parquet")
    root.store.put(older, PORTAL)
    Catalog(root.store).publish("results")
    assert [finding.where for finding in fsck(root).problems] == [older]


def test_fsck_takes_what_killed_writers_left_anywhere(root: Root, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "gallery" / "s-1"
    folder.mkdir(parents=True)
    old, young = folder / f"{ASIDE}old", folder / f"{ASIDE}young"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * LEFTOVER_SECONDS,) * 2)
    fsck(root)
    assert list(folder.iterdir()) == [young]


# ---- facts that the protocol rests on
def test_a_file_is_never_made_of_a_record_that_its_claim_does_not_pin(tmp_path: Path) -> None:
    """A late request of a dead writer may bring a record back that was cleared away, with other rows."""
    catalog = Catalog(open_store(tmp_path), sleep=lambda _: None)
    catalog.commit("failures", "s", "b", [{"cell_id": "a", "attempt": 1}])
    catalog.publish("failures")
    key = layout.record("failures", "s/b")
    pinned = catalog.store.get(key)
    file = next(stat.key for stat in catalog.store.list("catalog/failures/month=2"))
    catalog.store.put(key, pinned.replace(b'"attempt":1', b'"attempt":2'))
    catalog.store.delete(file)
    with pytest.raises(StorageError, match="nst fsck"):
        Catalog(catalog.store, sleep=lambda _: None).heal("failures")
    assert catalog.store.head(file) is None
    catalog.store.put(key, pinned)
    Catalog(catalog.store).heal("failures")
    assert Catalog(catalog.store).read("failures", ["attempt"]).to_pylist() == [{"attempt": 1}]


def test_of_two_processes_with_the_same_change_one_makes_the_claim(store: Store) -> None:
    """Equal bytes would let both succeed (`Store.put`), so no two claims have equal bytes."""
    first = Catalog(store)
    first.commit("results", "s", "b", [{"cell_id": "a"}])
    ledgers = [Catalog(store).ledger("results") for _ in range(2)]
    claims: list[Claim] = []
    for ledger in ledgers:
        names = ledger.pending()
        claims.append(plan(ledger.table, ledger.sync(), ledger.readable(names), 1.0))
    assert claims[0] == claims[1]
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda pair=pair: won.append(pair[0].append(pair[1])))
        for pair in zip(ledgers, claims, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False, True]
