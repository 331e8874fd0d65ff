"""The catalog as its users read it: plain pandas, DuckDB and Polars on the folder, no help from nst."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb
import fsspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tasks.catalog import TABLES, Catalog
from tasks.catalog.columns import Column
from tasks.catalog.parquet import from_file
from tasks.catalog.schema import SCHEMAS, Table
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 21, 1, 2, 3, 4, tzinfo=UTC)


def fill(root: str) -> Catalog:
    """Two files: in the first nearly every column is null, in the second none of those that are checked."""
    catalog = Catalog(open_store(root))
    catalog.commit("results", "s", "b1", [{"cell_id": "a"}])
    catalog.publish("results")
    full = {"cell_id": "b", "loss": 1.0, "steps": 5, "pyramid_warm_start": True, "sweep_id": "s", "finished_at": NOW}
    catalog.commit("results", "s", "b2", [full])
    catalog.publish("results")
    return catalog


def check_pandas(frame: pd.DataFrame) -> None:
    assert list(frame.cell_id) == ["a", "b"]
    assert list(frame.columns)[:-1] == list(SCHEMAS["results"].columns)
    assert list(frame.month) == ["2026-11"] * 2 or len(set(frame.month)) == 1
    assert frame.loss.dtype == "float64"
    assert frame.finished_at.dtype == "datetime64[us, UTC]"
    assert frame.finished_at[1] == NOW
    assert frame.steps[1] == 5
    assert frame.pyramid_warm_start[1]
    assert frame.sweep_id.isna().tolist() == [True, False]


def test_pandas_reads_the_folder(tmp_path: Path) -> None:
    fill(str(tmp_path))
    check_pandas(pd.read_parquet(f"{tmp_path}/catalog/results"))


def test_pandas_reads_the_bucket_with_nothing_but_the_environment(s3) -> None:
    root = s3.root("lab")
    fill(root)
    check_pandas(pd.read_parquet(f"{root}/catalog/results"))


def test_every_table_can_be_read_before_it_has_a_row(tmp_path: Path) -> None:
    catalog = Catalog(open_store(tmp_path))
    for table in TABLES:
        assert catalog.read(table).num_rows == 0
        catalog.publish(table)
        frame = pd.read_parquet(tmp_path / "catalog" / table)
        assert len(frame) == 0
        assert list(frame.columns)[:-1] == list(SCHEMAS[table].columns)


def test_duckdb_and_polars_read_the_folder(tmp_path: Path) -> None:
    fill(str(tmp_path))
    with duckdb.connect() as db:
        query = "select cell_id, loss, steps from read_parquet($1, hive_partitioning=true) order by cell_id"
        found = db.execute(query, [f"{tmp_path}/catalog/results/**/*.parquet"]).fetchall()
    assert found == [("a", None, None), ("b", 1.0, 5)]
    frame = pl.read_parquet(f"{tmp_path}/catalog/results/**/*.parquet").sort("cell_id")
    assert frame.select("cell_id", "loss", "steps").rows() == found
    assert frame.schema["finished_at"] == pl.Datetime("us", "UTC")


def test_duckdb_and_polars_read_the_bucket(s3) -> None:
    root = s3.root("lab")
    fill(root)
    with duckdb.connect() as db, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fsspec's client complains about its own event loop
        db.register_filesystem(fsspec.filesystem("s3", use_listings_cache=False))
        glob = f"{root}/catalog/results/*/*.parquet"
        query = "select cell_id, loss, steps from read_parquet($1, hive_partitioning=true) order by cell_id"
        found = db.execute(query, [glob]).fetchall()
    assert found == [("a", None, None), ("b", 1.0, 5)]
    options = {"aws_endpoint_url": s3.url, "aws_allow_http": "true"}
    frame = pl.read_parquet(f"{root}/catalog/results/**/*.parquet", storage_options=options).sort("cell_id")
    assert frame.select("cell_id", "loss", "steps").rows() == found


UNCEASING = """
import sys
from tasks.catalog import Catalog
from tasks.store import open_store
catalog = Catalog(open_store(sys.argv[1]))
for number in range(10_000):
    catalog.commit("results", "s", f"b{number}", [{"cell_id": f"c{number}"}])
    catalog.publish("results")
    catalog.compact("results", open_files=3)
    print(number, flush=True)
"""


@pytest.mark.process
def test_a_plain_read_beside_unceasing_compaction_has_every_row_or_fails(tmp_path: Path) -> None:
    reads, missing = int(os.environ.get("NST_READS", "30")), 0
    with subprocess.Popen(
        [sys.executable, "-c", UNCEASING, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        try:
            for _ in range(reads):
                published = int(writer.stdout.readline())
                try:
                    cells = set(pd.read_parquet(tmp_path / "catalog/results").cell_id)
                except FileNotFoundError:  # never a shorter table in silence
                    missing += 1
                else:
                    assert cells >= {f"c{number}" for number in range(published + 1)}
        finally:
            writer.kill()
    print(f"{missing} of {reads} reads met a file that compaction had just replaced")
    assert missing < reads


def grown(table: Table, name: str) -> Table:
    """The next version of a table, with one column more."""
    more = (*table.columns.values(), Column(name, "float64", "New."))
    return Table(table.name, table.description, lambda: more, table.sort, table.key, table.unique)


def test_a_new_column_is_there_for_plain_pandas_and_null_in_old_rows(tmp_path: Path, monkeypatch) -> None:
    fill(str(tmp_path))
    old = Catalog(open_store(tmp_path))
    with monkeypatch.context() as patch:
        patch.setitem(SCHEMAS, "results", grown(SCHEMAS["results"], "beauty"))
        new = Catalog(open_store(tmp_path))
        new.commit("results", "s", "b3", [{"cell_id": "c", "beauty": 9.5}])
        new.publish("results")
        assert new.read("results", ["beauty"])["beauty"].to_pylist() == [None, None, 9.5]
    anchors = [stat.key[-18:] for stat in new.store.list("catalog/results/month=0000-00/")]
    assert anchors == ["chema-9997.parquet", "chema-9998.parquet"]
    frame = pd.read_parquet(tmp_path / "catalog/results")
    assert frame.set_index("cell_id").beauty.dropna().to_dict() == {"c": 9.5}
    # an old version that is still running neither hides the column nor drops it when it merges files
    assert old.publish("results") == 0
    assert old.compact("results", open_files=2) == 3
    assert pd.read_parquet(tmp_path / "catalog/results").set_index("cell_id").beauty.dropna().to_dict() == {"c": 9.5}
    assert old.read("results")["beauty"].to_pylist() == [None, None, 9.5]


def test_a_changed_type_is_refused(tmp_path: Path, monkeypatch) -> None:
    fill(str(tmp_path))
    columns = [
        Column(c.name, "string" if c.name == "loss" else c.type, "") for c in SCHEMAS["results"].columns.values()
    ]
    monkeypatch.setitem(SCHEMAS, "results", Table("results", "", lambda: tuple(columns), ("cell_id",), "cell_id"))
    with pytest.raises(pa.ArrowTypeError, match="loss"):
        Catalog(open_store(tmp_path)).publish("results")


def test_columns_are_described_in_the_schema_that_pandas_users_see(tmp_path: Path) -> None:
    catalog = fill(str(tmp_path))
    anchor = from_file(catalog.store.get("catalog/results/month=0000-00/0-schema-9998.parquet"))
    assert anchor.num_rows == 0
    described = {f.name: f.metadata[b"description"].decode() for f in anchor.schema}
    assert described == {c.name: c.description for c in SCHEMAS["results"].columns.values()}
