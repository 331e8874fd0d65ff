"""Exact reading at any moment: the claim log says which files count, whatever other files the folder holds.

Readers never write. A file that is claimed and not yet written is made in memory. A file that a compaction removed
while the reader was at work means that the log has grown, and the reader starts over.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, TypeVar

from nst.errors import UserError
from tasks.catalog import parquet
from tasks.catalog.heal import build
from tasks.catalog.ledger import Ledger, Moved
from tasks.catalog.publish import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from collections.abc import Set as AbstractSet

    import pyarrow as pa

    from tasks.catalog.records import Record

_Found = TypeVar("_Found")


def keys(ledger: Ledger, column: str, *, live: bool) -> set[str]:
    """Return the distinct values of a column; of the table's key they are in the log, and no Parquet is read.

    Args:
        ledger: The table.
        column: Name of the column.
        live: Whether to include rows that are committed and not yet published.
    """
    if column != ledger.table.key:
        return set(count(ledger, column, live=live))

    def once() -> set[str]:
        with ledger.lock:
            committed = _unpublished_keys(ledger, live=live)
            return ledger.state.keys | committed  # as they are after the log was folded

    return _until_still(ledger, once)


class Keys:
    """The keys of a table's rows, for `in` and for whether there is any: a million of them are not copied.

    A key that this process learns of later may be found as well.
    """

    def __init__(self, published: AbstractSet[str], committed: AbstractSet[str]) -> None:
        self._published, self._committed = published, committed

    def __contains__(self, key: object) -> bool:
        return key in self._published or key in self._committed

    def __bool__(self) -> bool:
        return bool(self._published or self._committed)


def known(ledger: Ledger) -> Keys:
    """Return the values of the table's key, committed but unpublished rows included; no Parquet is read."""
    assert ledger.table.key, f"table {ledger.table.name!r} has no key"

    def once() -> Keys:
        with ledger.lock:
            committed = _unpublished_keys(ledger, live=True)
            return Keys(ledger.state.keys, committed)  # as above

    return _until_still(ledger, once)


def count(ledger: Ledger, column: str, *, live: bool) -> dict[str, int]:
    """Return how many rows have each value of a column; null is left out."""
    _check(ledger, [column])
    counts: Counter[str] = Counter()
    files, rows = snapshot(ledger, live=live, parse=lambda f: ledger.codec.column(ledger.table, f, column))
    for values in files:
        counts.update(value for value in values if value is not None)
    counts.update(row[column] for row in rows if column in row)
    return dict(counts)


def read(ledger: Ledger, columns: Sequence[str] | None, *, live: bool, where: parquet.Rows | None = None) -> pa.Table:
    """Return the table's rows in the newest schema, every row once, sorted as the table's files are.

    Args:
        ledger: The table.
        columns: Names of the columns to return, in this order; None for all.
        live: Whether to include rows that are committed and not yet published.
        where: The rows to return, by the values of a column; None for all. No file is in memory as a whole then.
    """
    if columns is not None:
        _check(ledger, columns)
    files, rows = snapshot(ledger, live=live, parse=lambda file: parquet.from_file(file, columns, where))
    if where is not None:
        rows = [row for row in rows if row.get(where[0]) in where[1]]
    fresh = parquet.to_arrow(ledger.table, rows)
    parts = [*files, fresh if columns is None else fresh.select(list(columns))]
    found = parquet.unify(ledger.table, parts, columns)
    present = [(name, "ascending") for name in ledger.table.sort if name in found.column_names]
    return found.sort_by(present) if present else found


def snapshot(
    ledger: Ledger, *, live: bool, parse: Callable[[bytes], _Found]
) -> tuple[list[_Found], list[dict[str, Any]]]:
    """Return every live file, parsed, and the rows of commit records that belong to no claim yet."""

    def once() -> tuple[list[_Found], list[dict[str, Any]]]:
        with ledger.lock:
            records = _unpublished(ledger, live=live)
            files = sorted(ledger.state.live)
            claim = plan(ledger.table, ledger.state, records, 0.0)
        rows = [
            row
            for record in records
            for position, row in enumerate(record.rows)
            if position not in set(claim.skip.get(record.name, ()))
        ]
        # A few files are read at once and parsed one by one: a large table is never in memory as a whole, and parsing
        # in many threads takes longer and more memory.
        found: list[_Found] = []
        for start in range(0, len(files), step := max(1, ledger.threads)):
            some = files[start : start + step]
            found += [_parsed(ledger, f, data, parse) for f, data in zip(some, ledger.fetch(some), strict=True)]
        return found, rows

    return _until_still(ledger, once)


def _unpublished(ledger: Ledger, *, live: bool) -> list[Record]:
    """Return the records that belong to no claim; the log is folded after they were listed, and only then."""
    waiting = ledger.pending() if live else []
    return ledger.readable(ledger.sync().new(waiting))


def _unpublished_keys(ledger: Ledger, *, live: bool) -> set[str]:
    """Return the keys of the rows that belong to no claim; the log is folded as in `_unpublished`.

    A record of a table with a key has a name of its own and never changes, so that whoever waits for others to finish
    and asks again and again reads each record once.
    """
    column = ledger.table.key
    assert column
    waiting = ledger.pending() if live else []
    waiting = ledger.sync().new(waiting)
    known = {name: ledger.committed[name] for name in waiting if name in ledger.committed}
    for record in ledger.readable([name for name in waiting if name not in known]):
        known[record.name] = frozenset(row[column] for row in record.rows)
    ledger.committed = known
    return set().union(*known.values())


def _parsed(ledger: Ledger, file: str, data: bytes | None, parse: Callable[[bytes], _Found]) -> _Found:
    """Return what `parse` makes of a file.

    Raises:
        UserError: The file is damaged.
    """
    content = _unwritten(ledger, file) if data is None else data
    try:
        return parse(content)
    except (OSError, ValueError, KeyError) as error:  # what Arrow raises about bytes that are no Parquet
        raise ledger.damaged(file, error) from error


def _unwritten(ledger: Ledger, file: str) -> bytes:
    number = int(file.rsplit("/", 1)[1].split("-")[1])
    return build(ledger, ledger.claim(number))


def _until_still(ledger: Ledger, once: Callable[[], _Found]) -> _Found:
    """Return what `once` returns, starting over as long as the log grows while it reads."""
    attempt = 0
    while True:
        try:
            return once()
        except Moved:
            ledger.back_off(attempt)
            attempt += 1


def _check(ledger: Ledger, columns: Sequence[str]) -> None:
    unknown = [name for name in columns if name not in ledger.table.columns]
    if unknown:
        raise UserError(f"table {ledger.table.name!r} has no column {unknown[0]!r}", hint="see `nst schema --catalog`")
