from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from tasks.catalog import Catalog
from tasks.store import Store

NOW = datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC)


def rows(*cells: str, **values) -> list[dict]:
    return [{"cell_id": cell, **values} for cell in cells]


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
    assert catalog.commit("results", "s", "b", rows("a", seconds=1.0))
    assert not catalog.commit("results", "s", "b", rows("a", seconds=2.0))
    catalog.publish("results")
    assert not catalog.commit("results", "s", "b", rows("a", seconds=3.0))
    catalog.gc("results", grace=0)
    assert catalog.commit("results", "s", "b", rows("a", seconds=4.0))  # the record was cleared away: it comes back
    assert catalog.publish("results") == 0
    assert Catalog(store).read("results", ["seconds"]).to_pylist() == [{"seconds": 1.0}]


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
