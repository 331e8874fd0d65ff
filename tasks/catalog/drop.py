"""Rows are dropped by new files without them: a claim of the log like any other, never a change of a file.

A dropped key may be committed again: it counts as not published, and a group whose rows were dropped from a table
without a key gives its next commit records new names, since the log never forgets the old ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.catalog.heal import heal
from tasks.catalog.ledger import Ledger, Moved
from tasks.catalog.log import Claim

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

_AT_ONCE: Final = frozenset({"sweeps"})
"""Tables whose rows vanish in one claim: a sweep is there or not. Of other tables a claim replaces one file."""


def drop(ledger: Ledger, column: str, values: AbstractSet[str]) -> int:
    """Drop the published rows with these values of a column and return their number.

    A crash leaves some rows dropped and the others untouched, and never a file without its claim; dropping again goes
    on with the rest.

    Args:
        ledger: The table.
        column: The table's key; of a table without a key, any column of strings.
        values: The values in the rows to be dropped.
    """
    assert ledger.table.key in {None, column}
    dropped, attempt, is_first = 0, 0, True
    found: dict[str, list[_Row]] = {}
    while True:
        try:
            heal(ledger, force=is_first)
            is_first = False
            for file in ledger.state.live.keys() - found.keys():
                found[file] = _rows(ledger, file, column, values)
            chosen = {file: rows for file, rows in sorted(found.items()) if rows and file in ledger.state.live}
            if not chosen:
                return dropped
            if ledger.table.name not in _AT_ONCE:
                chosen = dict([next(iter(chosen.items()))])
            if ledger.append(_claim(ledger, column, chosen)):
                dropped += sum(map(len, chosen.values()))
                attempt = 0
        except Moved:
            ledger.sync()
            ledger.back_off(attempt)
            attempt += 1


_Row = tuple[str, str | None]
"""A row to be dropped: its value in the column, and the sweep that committed it."""


def _rows(ledger: Ledger, file: str, column: str, values: AbstractSet[str]) -> list[_Row]:
    (data,) = ledger.fetch([file])
    if data is None:
        raise Moved(file)
    found = ledger.codec.column(ledger.table, data, column)
    sweeps = ledger.codec.column(ledger.table, data, "sweep_id") if ledger.table.key is None else [None] * len(found)
    return [(value, sweep) for value, sweep in zip(found, sweeps, strict=True) if value in values]


def _claim(ledger: Ledger, column: str, chosen: Mapping[str, list[_Row]]) -> Claim:
    rows = [row for found in chosen.values() for row in found]
    return Claim(
        number=ledger.state.number,
        op="drop",
        month=max(file.split("/month=")[1].split("/")[0] for file in chosen),
        at=ledger.clock(),
        rows=sum(ledger.state.live[file] for file in chosen) - len(rows),
        inputs=tuple(chosen),
        column=column,
        values=tuple(sorted({value for value, _ in rows})),
        groups=tuple(sorted({sweep for _, sweep in rows if sweep is not None})),
    )
