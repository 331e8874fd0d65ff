"""A damaged object below a root is one line that names it, in every command; what is derived is made again."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

import flows.__main__ as command
from nst.errors import StorageError, UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.catalog import Catalog, layout
from tasks.catalog.publish import plan
from tasks.root import Root, open_root
from tasks.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tasks.catalog.log import Claim
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
    "garbage", [*GARBAGE.values(), b'{"common": {}, "rows": [{"loss": 1.0}]}', b'{"common": 1, "rows": 2}']
)
def test_a_damaged_commit_record_stops_nobody(root: Root, garbage: bytes, monkeypatch, capfd) -> None:
    root.store.put(layout.record("results", "s9/b"), garbage)
    assert nst(monkeypatch, capfd, "status", "--root", root.uri)[0] == 0
    catalog = Catalog(root.store)
    catalog.commit("results", "s3", "b", [{"cell_id": "c3"}])
    assert catalog.publish("results") == 1
    assert catalog.keys("results") == {"c0", "c1", "c3"}


def test_a_damaged_checkpoint_or_ticket_is_passed_over(root: Root) -> None:
    root.store.put(layout.checkpoint("results", 2), PORTAL)
    root.store.put(layout.tickets("results") + "other.json", PORTAL)
    catalog = Catalog(root.store, single_publisher=True)
    catalog.commit("results", "s3", "b", [{"cell_id": "c3"}])
    assert catalog.publish("results") == 1


@pytest.mark.parametrize("damaged", ["segment", "anchor"])
def test_publishing_and_merging_name_what_is_damaged(root: Root, damaged: str) -> None:
    prefix = "catalog/results/month=2" if damaged == "segment" else layout.anchors("results")
    root.store.put(root.store.list(prefix)[0].key, PORTAL)
    catalog = Catalog(root.store)
    with pytest.raises(UserError, match=r"catalog/results/.* is damaged.*nst fsck"):
        catalog.compact("results", open_files=2) if damaged == "segment" else catalog.publish("results")


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
