"""Commit records: one create-only JSON object per finished batch, checked column by column before it is written.

A row that the schema cannot hold fails here, in the worker that made it, and never in a publisher.
"""

from __future__ import annotations

import hashlib
import json
import numbers
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.catalog.columns import Column, Type
    from tasks.catalog.schema import Table


@dataclass(frozen=True, slots=True)
class Record:
    """A commit record as read.

    Attributes:
        name: `<group>/<record id>`.
        digest: SHA-256 of its bytes.
        rows: Its rows, the common values filled in; timestamps as ISO text.
    """

    name: str
    digest: str
    rows: list[dict[str, Any]]

    def unknown(self, table: Table) -> set[str]:
        """Return the columns that this version of nst does not know: a newer version wrote the record."""
        return {name for row in self.rows for name in row} - table.columns.keys()


def encode(table: Table, rows: Sequence[Mapping[str, Any]], common: Mapping[str, Any]) -> bytes:
    """Return the bytes of a record.

    Raises:
        ValueError: A column is unknown, or a row lacks the key of the table.
        TypeError: A value does not fit its column.
    """
    checked = [_row(table, row) for row in rows]
    shared = _row(table, common)
    if table.key and any(not (row.get(table.key) or shared.get(table.key)) for row in checked):
        raise ValueError(f"a row of {table.name!r} has no {table.key!r}")
    body = {"table": table.name, "common": shared, "rows": checked}
    return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()


def decode(table: Table, name: str, data: bytes) -> Record:
    """Return the record that an object holds.

    Raises:
        ValueError: The bytes are not a commit record, a value does not fit its column, or a row lacks the table's key.
    """
    try:
        body = from_json(data)
        common, rows = body["common"], body["rows"]
        for row in (common, *rows):
            _check_stored(table, row)
        merged = [{**common, **row} for row in rows]
        if table.key and not all(row.get(table.key) for row in merged):
            raise ValueError(f"a row has no {table.key!r}")  # noqa: TRY301
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"commit record {name!r} is not readable: {error}") from error
    return Record(name, hashlib.sha256(data).hexdigest(), merged)


def _check_stored(table: Table, row: Mapping[str, Any]) -> None:
    """Make sure that the values of a row can be written to a file; columns that only a newer nst knows are left alone.

    Raises:
        ValueError: A value does not fit its column.
    """
    for name, value in row.items():
        column = table.columns.get(name)
        if column is not None and value is not None and not _fits(column.type, value):
            raise ValueError(f"column {name!r} holds {column.type}, not {value!r:.80}")


def _fits(kind: Type, value: Any) -> bool:
    """Return whether a value, as JSON gives it, is one that `_fit` returns for a column of this type."""
    if kind == "string":
        return isinstance(value, str) and (value.isascii() or _is_text(value))
    if kind == "timestamp":
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    if kind == "bool" or isinstance(value, bool):
        return kind == "bool" and isinstance(value, bool)
    if isinstance(value, int):
        most = 2**63 if kind == "int64" else 2**53  # beyond that not every integer is a float
        return -most <= value < most
    return kind == "float64" and isinstance(value, float)


def _is_text(value: str) -> bool:
    """Return whether UTF-8 can hold a string: JSON can spell half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _row(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    unknown = row.keys() - table.columns.keys()
    if unknown:
        raise ValueError(f"table {table.name!r} has no column {sorted(unknown)}")
    return {name: _value(table.columns[name], value) for name, value in row.items() if value is not None}


def _value(column: Column, value: Any) -> Any:
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()  # numpy's and torch's scalars
    found = _fit(column.type, value)
    if found is None:
        raise TypeError(f"column {column.name!r} holds {column.type}, not {type(value).__name__} {value!r:.80}")
    return found


def _fit(kind: Type, value: Any) -> Any:
    """Return the value as its column stores it, or None if it does not fit."""
    if kind == "timestamp":
        aware = isinstance(value, datetime) and value.tzinfo is not None
        return value.astimezone(UTC).isoformat(timespec="microseconds") if aware else None
    if kind == "string":
        return value if isinstance(value, str) else None
    if kind == "bool" or isinstance(value, bool):
        return value if kind == "bool" and isinstance(value, bool) else None
    if kind == "int64":
        return int(value) if isinstance(value, numbers.Integral) and -(2**63) <= int(value) < 2**63 else None
    return float(value) if isinstance(value, numbers.Real) else None
