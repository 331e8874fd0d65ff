"""How the files of a table are made and read. The simulator of the tests replaces `Codec` by a lighter format."""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import pyarrow as pa
    import pyarrow.parquet as pq

    from tasks.catalog.schema import Table


_ROWS_AT_ONCE: Final = 16_384

Rows = tuple[str, "AbstractSet[str]"]
"""Rows of a table, chosen by the values of a column of strings."""


class Codec(Protocol):
    """Rows to bytes and back. The order in which rows are written has no influence on what is read."""

    suffix: str

    def write(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Return a file of rows as commit records hold them, sorted."""

    def merge(self, table: Table, files: Sequence[bytes], without: Rows | None = None) -> bytes:
        """Return the rows of several files but those `without`, sorted, in the newest schema, no column dropped."""

    def column(self, table: Table, file: bytes, column: str) -> list[Any]:
        """Return the values of one column, None where a file lacks it."""

    def anchor(self, table: Table, newest: bytes | None) -> bytes | None:
        """Return a zero-row file with this version's columns and those of `newest`; None if `newest` has them all."""


class Parquet:
    """Parquet, zstd, with checksums on every page."""

    suffix = ".parquet"

    def write(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> bytes:
        """Return the rows as one sorted Parquet file; a column that no row has is all null."""
        return _bytes(_sorted(table, to_arrow(table, rows)))

    def merge(self, table: Table, files: Sequence[bytes], without: Rows | None = None) -> bytes:
        """Return the rows of several files but those `without`; a column that only a newer nst knows is kept."""
        parts = [from_file(file) for file in files]
        if without is not None:
            import pyarrow.compute as pc

            parts = [part.filter(pc.invert(_has(part, *without))) for part in parts]
        return _bytes(_sorted(table, unify(table, parts)))

    def column(self, table: Table, file: bytes, column: str) -> list[Any]:
        """Return the values of one column."""
        del table
        values: list[Any] = from_file(file, [column]).column(column).to_pylist()
        return values

    def anchor(self, table: Table, newest: bytes | None) -> bytes | None:
        """Return a zero-row file with this version's columns and those of `newest`; None if `newest` has them all.

        Raises:
            pyarrow.ArrowTypeError: The type of a column changed, which no release may do.
        """
        import pyarrow as pa

        mine = table.arrow(described=True)
        if newest is None:
            return _bytes(mine.empty_table(), described=True)
        known = from_file(newest).schema
        joined = pa.unify_schemas([mine.remove_metadata(), known.remove_metadata()])
        if set(known.names) >= set(mine.names):
            return None
        described = [mine.field(name) if name in mine.names else known.field(name) for name in joined.names]
        return _bytes(pa.schema(described).empty_table(), described=True)


def to_arrow(table: Table, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows of commit records as an Arrow table of the table's schema."""
    import pyarrow as pa

    schema = table.arrow()
    present = {name for row in rows for name in row}
    arrays = []
    for schema_field in schema:
        if schema_field.name not in present:
            arrays.append(pa.nulls(len(rows), schema_field.type))
            continue
        values = [row.get(schema_field.name) for row in rows]
        if pa.types.is_timestamp(schema_field.type):
            values = [None if value is None else datetime.fromisoformat(value) for value in values]
        arrays.append(pa.array(values, type=schema_field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def from_file(file: bytes, columns: Sequence[str] | None = None, where: Rows | None = None) -> pa.Table:
    """Return the rows of a file with all columns or the named ones; a column that the file lacks is all null.

    Args:
        file: Bytes of a Parquet file.
        columns: Names of columns; None for all.
        where: The rows to return; None for all.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(file), page_checksum_verification=True) as parquet:
        names = parquet.schema_arrow.names
        wanted = names if columns is None else [name for name in columns if name in names]
        found = parquet.read(columns=wanted, use_threads=False) if where is None else _chosen(parquet, wanted, where)
        nulls = pa.nulls(parquet.metadata.num_rows if where is None else found.num_rows)
    if columns is None:
        return found
    return pa.table([found.column(name) if name in wanted else nulls for name in columns], names=list(columns))


def walk(file: bytes, column: str | None) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of a file some thousands at a time, every page read: their number, and their values of a column.

    Args:
        file: Bytes of a Parquet file.
        column: Name of a column; None for no values.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(file), page_checksum_verification=True) as parquet:
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, use_threads=False):
            yield batch.num_rows, batch.column(column).to_pylist() if column else []


def _chosen(parquet: pq.ParquetFile, columns: Sequence[str], where: Rows) -> pa.Table:
    """Return the rows with these values, a few thousand rows in memory at a time."""
    import pyarrow as pa

    column, values = where
    schema = pa.schema([parquet.schema_arrow.field(name) for name in columns])
    chosen = [
        batch.filter(_has(batch, column, values)).select(columns)
        for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=sorted({*columns, column}), use_threads=False)
    ]
    return pa.Table.from_batches([batch for batch in chosen if batch.num_rows], schema)


def _has(rows: pa.Table | pa.RecordBatch, column: str, values: AbstractSet[str]) -> Any:
    """Return for each row whether its value in a column of strings is among these."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.is_in(rows.column(column), value_set=pa.array(values, pa.string()))


def unify(table: Table, parts: Iterable[pa.Table], columns: Sequence[str] | None = None) -> pa.Table:
    """Return the parts as one table in the table's schema; columns that only the parts have come last."""
    import pyarrow as pa

    schema = table.arrow()
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns if name in schema.names])
    plain = [part.replace_schema_metadata(None) for part in parts]
    return pa.concat_tables([schema.empty_table(), *plain], promote_options="default")


def _sorted(table: Table, rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in table.sort])


def _bytes(rows: pa.Table, *, described: bool = False) -> bytes:
    """Return a Parquet file; only anchors carry Arrow's schema, which would make up a third of a small segment."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", write_page_checksum=True, store_schema=described)
    return sink.getvalue()
