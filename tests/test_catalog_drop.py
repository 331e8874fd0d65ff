"""Dropped rows: gone for every reader, and free to be committed again."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from nst.errors import UserError
from tasks.catalog import Catalog, layout
from tasks.catalog.log import State
from tasks.fsck.check import fsck
from tasks.root import open_root
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.store import Store


def commit(catalog: Catalog, batch: str, *cells: str, **values: float) -> None:
    catalog.commit("results", "s", batch, [{"cell_id": cell, **values} for cell in cells])
    catalog.publish("results")


def losses(store: Store) -> dict[str, float]:
    return {row["cell_id"]: row["loss"] for row in Catalog(store).read("results", ["cell_id", "loss"]).to_pylist()}


def test_a_dropped_row_is_gone_and_its_batch_commits_it_again(store: Store) -> None:
    catalog = Catalog(store)
    commit(catalog, "b0", "a", "b", loss=1.0)
    commit(catalog, "b1", "c", "d", loss=1.0)
    assert catalog.drop("results", "cell_id", {"a", "d", "nobody"}) == 2
    assert Catalog(store).keys("results") == {"b", "c"}
    assert losses(store) == {"b": 1.0, "c": 1.0}
    assert catalog.drop("results", "cell_id", {"a", "d"}) == 0
    commit(Catalog(store), "b0", "a", "b", loss=2.0)  # the same batch under the same id
    assert losses(store) == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert Catalog(store).compact("results", open_files=2)
    assert losses(store) == {"a": 2.0, "b": 1.0, "c": 1.0}


def test_plain_pandas_sees_no_dropped_row(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path))
    commit(catalog, "b0", "a", "b")
    catalog.drop("results", "cell_id", {"a", "b"})
    assert len(pd.read_parquet(tmp_path / "catalog/results")) == 0
    assert fsck(open_root(str(tmp_path))).ok


def test_a_dropped_sweep_is_gone_whole_and_registers_again_once(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path))
    for sweep in ("s1", "s2"):
        for part in range(3):  # three files
            catalog.commit("sweeps", sweep, f"cells-{part}", [{"cell_id": f"c{part}"}], common={"sweep_id": sweep})
            catalog.publish("sweeps")
    claims = len(catalog.store.list(layout.claims("sweeps")))
    assert catalog.drop("sweeps", "sweep_id", {"s1"}) == 3
    assert len(catalog.store.list(layout.claims("sweeps"))) == claims + 1  # one step: it is there or not
    for position in (0, 1):
        rows = [{"cell_id": "c0", "position": position}]
        assert catalog.commit("sweeps", "s1", "cells-0", rows, common={"sweep_id": "s1"}) is (position == 0)
        assert not catalog.commit("sweeps", "s2", "cells-0", rows, common={"sweep_id": "s2"})
    assert Catalog(catalog.store).counts("sweeps", "sweep_id") == {"s1": 1, "s2": 3}


def test_checkpoints_of_the_version_before_are_read(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path))
    commit(catalog, "b0", "a")
    commit(catalog, "b1", "b")
    catalog.compact("results", open_files=2)
    state = catalog.ledger("results").state
    body = json.loads(zlib.decompress(state.pack()))
    del body["editions"]
    old = State.unpack(zlib.compress(json.dumps(body).encode()))
    assert (old.live, old.dead, old.keys) == (state.live, state.dead, state.keys)


def test_a_claim_of_a_newer_version_stops_with_a_hint(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path))
    commit(catalog, "b0", "a")
    catalog.store.put(layout.claim("results", 1), b'{"op": "divide", "month": "2026-11", "at": 0, "rows": 1}')
    with pytest.raises(UserError, match="upgrade nst"):
        Catalog(catalog.store).keys("results")
