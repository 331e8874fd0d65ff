from __future__ import annotations

import json
import subprocess
import sys
import threading
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nst.errors import StorageError, UserError
from tasks.catalog import Catalog, layout, publish
from tasks.catalog.lease import LIFE
from tasks.catalog.log import Claim
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.store import Store

NOW = datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC)


def rows(*cells: str, **values) -> list[dict]:
    return [{"cell_id": cell, **values} for cell in cells]


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(open_store(tmp_path))


def again(catalog: Catalog) -> Catalog:
    """What a new process has."""
    return Catalog(catalog.store)


def test_a_committed_row_is_done_before_and_after_it_is_published(store: Store) -> None:
    catalog = Catalog(store)
    assert catalog.keys("results") == set()
    assert catalog.commit("results", "s1", "b1", rows("a", "b", loss=1.5), common={"sweep_id": "s1"})
    assert Catalog(store).keys("results") == {"a", "b"}
    assert Catalog(store).keys("results", live=False) == set()
    assert catalog.publish("results") == 2
    assert catalog.publish("results") == 0
    assert Catalog(store).keys("results", live=False) == {"a", "b"}
    found = Catalog(store).read("results", ["cell_id", "loss", "sweep_id"]).to_pylist()
    assert found == [{"cell_id": c, "loss": 1.5, "sweep_id": "s1"} for c in "ab"]


def test_a_batch_that_commits_again_changes_nothing(store: Store) -> None:
    catalog = Catalog(store)
    catalog.commit("results", "s", "b", rows("a", seconds=1.0))
    catalog.publish("results")
    catalog.commit("results", "s", "b", rows("a", seconds=3.0))
    assert Catalog(store).read("results", ["seconds"]).to_pylist() == [{"seconds": 1.0}]
    catalog.publish("results")
    catalog.gc("results", grace=0)
    catalog.commit("results", "s", "b", rows("a", seconds=4.0))
    assert catalog.publish("results") == 0
    assert Catalog(store).read("results", ["seconds"]).to_pylist() == [{"seconds": 1.0}]


def test_a_record_of_a_table_without_a_key_counts_once(store: Store) -> None:
    catalog = Catalog(store)
    assert catalog.commit("sweeps", "s", "cells", rows("a", sweep_id="s", position=1))
    assert not Catalog(store).commit("sweeps", "s", "cells", rows("a", sweep_id="s", position=2))
    catalog.publish("sweeps")
    assert not Catalog(store).commit("sweeps", "s", "cells", rows("a", sweep_id="s", position=3))
    catalog.gc("sweeps", grace=0)
    assert not Catalog(store).commit("sweeps", "s", "cells", rows("a", sweep_id="s", position=4))
    assert catalog.publish("sweeps") == 0
    assert Catalog(store).read("sweeps", ["position"]).to_pylist() == [{"position": 1}]


def test_two_sweeps_that_compute_one_cell_leave_one_row(store: Store) -> None:
    one, two = Catalog(store), Catalog(store)
    one.commit("results", "s1", "b", rows("a", "b", sweep_id="s1"))
    two.commit("results", "s2", "b", rows("b", "c", "c", sweep_id="s2"))
    assert two.read("results").num_rows == 3
    assert one.publish("results") + two.publish("results") == 3
    two.commit("results", "s3", "b", rows("a", "d", sweep_id="s3"))
    assert two.read("results").num_rows == 4
    assert one.publish("results") == 1
    assert two.read("results", ["cell_id", "sweep_id"]).to_pylist() == [
        {"cell_id": c, "sweep_id": s} for c, s in [("a", "s1"), ("b", "s1"), ("c", "s2"), ("d", "s3")]
    ]


def test_a_cells_trace_comes_from_one_record_and_failures_all_stand(catalog: Catalog) -> None:
    for sweep in ("s1", "s2"):
        trace = [{"cell_id": "a", "step": step, "level": 0, "loss": float(len(sweep))} for step in (10, 0)]
        catalog.commit("traces", sweep, "b", trace)
        catalog.commit("failures", sweep, "b-1", rows("a", attempt=1, failed_at=NOW))
    assert catalog.publish("traces") == 2
    assert catalog.publish("failures") == 2
    assert catalog.read("traces", ["step"]).to_pylist() == [{"step": 0}, {"step": 10}]
    assert catalog.counts("failures") == {"a": 2}
    catalog.commit("failures", "s1", "b-2", rows("a", "z", attempt=2))
    assert again(catalog).counts("failures") == {"a": 3, "z": 1}
    assert again(catalog).keys("failures") == {"a", "z"}
    assert again(catalog).counts("failures", live=False) == {"a": 2}


def test_values_come_back_as_they_were(catalog: Catalog) -> None:
    values = {"loss": np.float32(0.5), "steps": np.int64(7), "pyramid_warm_start": True, "style_uris": '["ü"]'}
    catalog.commit("results", "s", "b", rows("a", finished_at=NOW, tv_loss=float("nan"), **values))
    catalog.publish("results")
    row = again(catalog).read("results").to_pylist()[0]
    assert {k: row[k] for k in values} == {**values, "loss": 0.5, "steps": 7}
    assert row["finished_at"] == NOW
    assert row["tv_loss"] != row["tv_loss"]
    assert row["seconds"] is None


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"cell_id": "a", "no_such": 1}, "no_such"),
        ({"loss": 1.0}, "cell_id"),
        ({"cell_id": "a", "loss": "1.0"}, "loss"),
        ({"cell_id": "a", "steps": 1.5}, "steps"),
        ({"cell_id": "a", "steps": 2**63}, "steps"),
        ({"cell_id": "a", "steps": True}, "steps"),
        ({"cell_id": "a", "pyramid_warm_start": 1}, "pyramid_warm_start"),
        ({"cell_id": "a", "finished_at": datetime(2026, 1, 1)}, "finished_at"),  # noqa: DTZ001  that is the point
        ({"cell_id": "a", "finished_at": "2026-01-01"}, "finished_at"),
        ({"cell_id": b"a"}, "cell_id"),
    ],
)
def test_a_row_that_the_schema_cannot_hold_fails_where_it_was_made(catalog: Catalog, row: dict, error: str) -> None:
    with pytest.raises((ValueError, TypeError), match=error):
        catalog.commit("results", "s", "b", [row])
    assert catalog.keys("results") == set()


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "x" * 201, "a b"])
def test_a_record_cannot_leave_its_folder(catalog: Catalog, name: str) -> None:
    with pytest.raises(ValueError, match="key"):
        catalog.commit("results", name, "b", rows("a"))
    with pytest.raises(ValueError, match="key"):
        catalog.commit("results", "s", name, rows("a"))


def test_unknown_tables_and_columns_are_the_users_error(catalog: Catalog) -> None:
    with pytest.raises(UserError, match="tables: results"):
        catalog.keys("result")
    with pytest.raises(UserError, match="los"):
        catalog.read("results", ["los"])


def test_compaction_leaves_one_file_a_month_and_the_same_rows(store: Store) -> None:
    month = iter([NOW.timestamp()] * 1000)
    catalog = Catalog(store, clock=lambda: next(month))
    for i in range(9):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}", loss=float(i)))
        catalog.publish("results")
    before = catalog.read("results")
    assert catalog.compact("results", open_files=10) == 0
    assert catalog.compact("results") == 9
    assert Catalog(store).read("results").equals(before)
    files = [stat.key for stat in store.list("catalog/results/month=2026")]
    assert len(files) == 1
    assert "/compact-00000009-" in files[0]
    later = Catalog(store, clock=lambda: NOW.timestamp() + 40 * 86400)
    later.commit("results", "s", "late", rows("late"))
    later.publish("results")
    assert [s.key.split("/")[2] for s in store.list("catalog/results/")] == [
        "month=0000-00", "month=2026-11", "month=2026-12",
    ]  # fmt: skip


def test_records_are_cleared_away_only_after_their_grace(catalog: Catalog) -> None:
    catalog.commit("results", "s", "b", rows("a"))
    assert catalog.gc("results", grace=0) == 0
    catalog.publish("results")
    assert catalog.gc("results") == 0
    assert catalog.gc("results", grace=0) == 1
    assert again(catalog).keys("results") == {"a"}


def test_publishing_clears_the_records_of_an_hour_ago_away(tmp_path: Path) -> None:
    now = [NOW.timestamp()]
    catalog = Catalog(open_store(tmp_path), clock=lambda: now[0])
    for i in range(5):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
        now[0] += 3600
    waiting = catalog.store.list(layout.records("results"))
    assert len(waiting) == 1  # however long the sweep runs, a publication lists what is new
    assert again(catalog).keys("results") == {f"c{i}" for i in range(5)}
    assert again(catalog).read("results").num_rows == 5


def test_a_publishing_removes_a_bounded_number_of_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "MOST_CLEARED", 3)
    now = [NOW.timestamp()]
    catalog = Catalog(open_store(tmp_path), clock=lambda: now[0])
    for i in range(8):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
    catalog.publish("results")
    now[0] += 3600
    left = []
    for _ in range(4):
        catalog.publish("results")
        left.append(len(catalog.store.list(layout.records("results"))))
    assert left == [5, 2, 0, 0]


def test_whoever_asks_again_what_is_done_reads_each_record_once(tmp_path: Path) -> None:
    worker, waiting = Catalog(open_store(tmp_path)), Catalog(open_store(tmp_path))
    read: list[str] = []
    get = waiting.store.get
    waiting.store.get = lambda key: read.append(key) or get(key)  # type: ignore[method-assign]
    for i in range(5):
        worker.commit("results", "s", f"b{i}", rows(f"c{i}"))
        assert waiting.keys("results") == {f"c{n}" for n in range(i + 1)}
        assert "c4" not in waiting.known("results") or i == 4
    of_records = [key for key in read if "/wal/" in key]
    assert len(of_records) == len(set(of_records)) == 5
    worker.publish("results")
    assert waiting.keys("results") == {f"c{i}" for i in range(5)}


def test_publishing_for_days_leaves_few_files(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path), most_small=4)
    for i in range(30):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
        assert len(catalog.store.list("catalog/results/month=2")) < 4
    assert again(catalog).keys("results") == {f"c{i}" for i in range(30)}
    assert again(catalog).read("results").num_rows == 30


def test_rows_are_published_beside_a_small_file_that_is_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A merge that was claimed and cannot be carried out would stop everybody who publishes."""
    catalog = Catalog(open_store(tmp_path), most_small=4)
    for i in range(3):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
    damaged, *_ = (stat.key for stat in catalog.store.list("catalog/results/month=2"))
    catalog.store.put(damaged, b"PAR1")
    for i in range(3, 6):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        assert again(catalog).publish("results") == 1
        assert catalog.publish("results") == 0
    assert again(catalog).keys("results") == {f"c{i}" for i in range(6)}
    assert "small files are not merged" in caplog.text
    with pytest.raises(UserError, match="damaged"):
        catalog.compact("results", open_files=2)
    catalog.commit("results", "s", "b6", rows("c6"))
    assert again(catalog).publish("results") == 1


def test_a_lost_file_is_made_again_from_its_records(catalog: Catalog) -> None:
    catalog.commit("results", "s", "b", rows("a", loss=2.0))
    catalog.publish("results")
    before = again(catalog).read("results")
    key = next(s.key for s in catalog.store.list("catalog/results/month=2"))
    catalog.store.delete(key)
    assert again(catalog).read("results").equals(before)  # readers make it in memory
    again(catalog).heal("results")
    assert catalog.store.head(key)
    assert again(catalog).read("results").equals(before)


def test_a_file_that_cannot_be_made_again_is_an_error_and_never_a_shorter_table(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path), sleep=lambda _: None)
    catalog.commit("results", "s", "b", rows("a"))
    catalog.publish("results")
    catalog.gc("results", grace=0)
    catalog.store.delete(next(s.key for s in catalog.store.list("catalog/results/month=2")))
    with pytest.raises(StorageError, match="nst fsck"):
        Catalog(catalog.store, sleep=lambda _: None).read("results")


def test_a_record_that_a_late_writer_overwrote_is_not_taken_for_the_one_that_was_claimed(tmp_path: Path) -> None:
    """A claim pins the digests of its records: its file holds what was published, or is not made."""
    catalog, late = (Catalog(open_store(tmp_path / name), sleep=lambda _: None) for name in ("root", "late"))
    catalog.commit("results", "s", "b", rows("a", loss=1.0))
    late.commit("results", "s", "b", rows("a", loss=9.0))
    catalog.publish("results")
    key = next(s.key for s in catalog.store.list("catalog/results/month=2"))
    catalog.store.delete(key)
    (record,), (other,) = (each.store.list(layout.records("results")) for each in (catalog, late))
    first = catalog.store.get(record.key)
    catalog.store.put(record.key, late.store.get(other.key))
    for use in (Catalog.heal, Catalog.read):
        with pytest.raises(StorageError, match="stay missing"):
            use(Catalog(catalog.store, sleep=lambda _: None), "results")
    assert catalog.store.head(key) is None
    catalog.store.put(record.key, first)
    again(catalog).heal("results")
    assert again(catalog).read("results", ["loss"]).to_pylist() == [{"loss": 1.0}]


def test_of_two_publishers_with_equal_claims_one_makes_it(store: Store) -> None:
    """A store says of equal bytes that they were made, so that a lost answer can be asked for again."""
    Catalog(store).commit("results", "s", "b", rows("a"))
    ledgers = [Catalog(store).ledger("results") for _ in range(2)]
    (record,) = ledgers[0].read_records(ledgers[0].pending())
    claim = Claim(0, "add", "2026-11", NOW.timestamp(), rows=1, records=((record.name, record.digest),), keys=("a",))
    for ledger in ledgers:
        ledger.sync()
    assert [ledger.append(claim) for ledger in ledgers] == [True, False]


def test_the_log_is_read_from_its_newest_checkpoint(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    catalog = Catalog(store, checkpoint_every=4)
    for i in range(11):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
    saved = [stat.key for stat in store.list(layout.checkpoints("results"))]
    assert saved == [layout.checkpoint("results", 4), layout.checkpoint("results", 8)]
    everything = {f"c{i}" for i in range(11)}
    read: list[str] = []
    get = store.get
    store.get = lambda key: read.append(key) or get(key)  # type: ignore[method-assign]
    assert Catalog(store, checkpoint_every=4).keys("results") == everything
    assert layout.claim("results", 7) not in read
    store.put(saved[1], b"torn")
    assert Catalog(store).keys("results") == everything
    for key in saved:
        store.delete(key)
    assert Catalog(store).keys("results") == everything


def test_a_log_with_a_lost_claim_is_refused_and_not_filled(tmp_path: Path) -> None:
    """Also where the gap is wider than what is asked for at once; a checkpoint above it knows what it said."""
    store = open_store(tmp_path)
    catalog = Catalog(store, checkpoint_every=40)
    for i in range(40):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
    for number in range(3, 30):
        store.delete(layout.claim("results", number))
    assert len(Catalog(store).keys("results")) == 40
    store.delete(layout.checkpoint("results", 40))
    log = store.list(layout.claims("results"))
    for use in (Catalog(store).keys, Catalog(store).publish, Catalog(store).compact, Catalog(store).gc):
        with pytest.raises(UserError, match=r"log/00000003.json is missing, but later claims are there .*nst fsck"):
            use("results")
    assert store.list(layout.claims("results")) == log


def test_the_log_is_listed_once_however_often_is_published(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    listed: list[str] = []
    list_all = store.list
    store.list = lambda prefix: listed.append(prefix) or list_all(prefix)  # type: ignore[method-assign]
    catalog = Catalog(store)
    for i in range(4):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
    assert listed.count(layout.claims("results")) == 1


def test_a_claim_that_can_neither_be_made_nor_read_ends_the_publishing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    catalog = Catalog(store)
    catalog.commit("results", "s", "b", rows("a"))
    put = store.put
    store.put = lambda key, data, create=False: "/log/" not in key and put(key, data, create=create)  # type: ignore[method-assign]
    for use in (catalog.publish, lambda table: catalog.drop(table, "cell_id", {"a"})):
        with pytest.raises(StorageError, match=r"log/00000000.json can neither be made nor read .*nst fsck"):
            use("results")


@pytest.mark.parametrize(
    "change",
    [
        {"number": 9},
        {"number": "2"},
        {"times": []},
        {"times": ["now", "then"]},
        {"live": {"x": 1}},
        {"live": []},
        {"keys": [["a"]]},
        {"records": {"s/b0": 7}},
        {"records": {"s/b0": -1}},
        {"editions": {"s": "1"}},
        {"dead": None},
    ],
)
def test_a_checkpoint_of_wrong_types_is_passed_over(tmp_path: Path, change: dict) -> None:
    store = open_store(tmp_path)
    catalog = Catalog(store)
    for i in range(2):
        catalog.commit("results", "s", f"b{i}", rows(f"c{i}"))
        catalog.publish("results")
    body = json.loads(zlib.decompress(catalog.ledger("results").state.pack()))
    store.put(layout.checkpoint("results", 2), zlib.compress(json.dumps(body | change).encode()))
    new = Catalog(store)
    assert new.keys("results") == {"c0", "c1"}
    assert new.gc("results", grace=0) == 2
    assert new.keys("results") == {"c0", "c1"}


@pytest.mark.parametrize("until", ["1" + "0" * 400, "1e999", "4e9", '"soon"', "null", "[]"])
def test_a_ticket_that_no_publisher_wrote_stops_nobody(tmp_path: Path, until: str) -> None:
    store = open_store(tmp_path)
    catalog = Catalog(store, single_publisher=True)
    catalog.commit("results", "s", "b", rows("a"))
    store.put(layout.tickets("results") + "other.json", f'{{"until": {until}}}'.encode())
    assert catalog.publish("results") == 1


def test_a_record_of_a_newer_version_waits_and_blocks_nobody(catalog: Catalog, caplog) -> None:
    newer = {"table": "results", "common": {}, "rows": [{"cell_id": "n", "column_of_tomorrow": 1}]}
    catalog.store.put(layout.record("results", "s/newer"), json.dumps(newer).encode())
    catalog.store.put(layout.record("results", "s/garbage"), b"\0\1")
    catalog.commit("results", "s", "b", rows("a"))
    assert catalog.publish("results") == 1
    assert catalog.publish("results") == 0
    assert again(catalog).read("results", live=False).num_rows == 1
    assert "column_of_tomorrow" in caplog.text
    assert "garbage" in caplog.text


def test_many_records_are_published_in_claims_of_bounded_size(catalog: Catalog, monkeypatch) -> None:
    monkeypatch.setattr("tasks.catalog.publish.MAX_ROWS", 25)
    monkeypatch.setattr("tasks.catalog.publish.MAX_RECORDS", 10)
    for i in range(40):
        catalog.commit("results", "s", f"b{i}", rows(*(f"c{i}-{j}" for j in range(4))))
    assert catalog.publish("results") == 160
    assert catalog.read("results", live=False).num_rows == 160
    assert max(catalog.ledger("results").state.live.values()) <= 25


def test_threads_share_a_catalog(catalog: Catalog) -> None:
    def work(name: str) -> None:
        for i in range(5):
            catalog.commit("results", name, f"b{i}", rows(f"{name}-{i}", "shared"))
            catalog.publish("results")

    threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = {f"t{n}-{i}" for n in range(4) for i in range(5)} | {"shared"}
    assert again(catalog).keys("results", live=False) == expected
    assert again(catalog).read("results").num_rows == len(expected)


def test_publishers_take_turns_where_the_store_cannot_refuse(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    catalogs = [Catalog(store, single_publisher=True) for _ in range(3)]
    for n, catalog in enumerate(catalogs):
        catalog.commit("results", "s", "b", rows("a", f"c{n}", loss=float(n)))
    assert sum(catalog.publish("results") for catalog in catalogs) == 4
    assert Catalog(store).read("results").num_rows == 4
    assert store.list("state/results/lease/") == []
    catalogs[0].commit("results", "s", "b2", rows("z"))
    now = 1e6

    def keep_other(seconds: float = 0.0) -> None:
        """Let time pass, in which another publisher keeps its ticket fresh."""
        nonlocal now
        now += 100 * bool(seconds)
        store.put(layout.tickets("results") + "other.json", json.dumps({"until": now + LIFE}).encode())

    keep_other()
    waiting = Catalog(store, single_publisher=True, clock=lambda: now, sleep=keep_other)
    with pytest.raises(StorageError, match="another publisher"):
        waiting.publish("results")
    assert "z" in Catalog(store).keys("results")  # waiting to be published, never lost


def test_asking_an_empty_root_what_is_done_loads_neither_arrow_nor_pandas_nor_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from tasks.catalog import Catalog; from tasks.store import open_store; "
        f"c = Catalog(open_store({str(tmp_path)!r})); print(c.keys('results'), c.counts('failures')); "
        "print([m for m in ('pyarrow', 'pandas', 'torch', 's3fs', 'skimage') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["set() {}", "[]"]
