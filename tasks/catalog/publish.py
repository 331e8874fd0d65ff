"""Commit records become published rows: claim the next number of the log, then write the file that the claim names.

Any number of publishers may run at once. A crash at any point leaves either no trace or a claim whose file the next
publisher writes. Rows whose key is published already, by this sweep or another, are listed in the claim as skipped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.catalog import layout
from tasks.catalog.compact import clear
from tasks.catalog.heal import heal
from tasks.catalog.ledger import LOGGER, Ledger, Moved
from tasks.catalog.log import Claim, State

if TYPE_CHECKING:
    from tasks.catalog.records import Record
    from tasks.catalog.schema import Table

MAX_RECORDS = 2_000
MAX_ROWS = 20_000

MOST_CLEARED = 5_000
"""Commit records that one publishing removes at most, so that it is not held up by those of a night."""


def publish(ledger: Ledger) -> int:
    """Publish every commit record that is in the store now and return the number of rows that became visible.

    Raises:
        StorageError: The store does not answer, or files of the log stay missing.
    """
    listed = waiting = ledger.pending()
    ledger.sync()
    known: dict[str, Record] = {}
    published, attempt = 0, 0
    while True:
        try:
            heal(ledger, known)
            records, waiting = _next(ledger, waiting, known)
            if not records:
                # So that the next listing is short, however long the sweep.
                clear(ledger, listed, grace=ledger.kept_s, most=MOST_CLEARED)
                return published
            claim = plan(ledger.table, ledger.state, records, ledger.clock())
            if ledger.append(claim):
                published += claim.rows
        except Moved:
            ledger.sync()
            ledger.back_off(attempt)
            attempt += 1


def idle(ledger: Ledger) -> bool:
    """Return whether there is nothing to publish and this process has seen every file in its place."""
    waiting = ledger.pending()
    return not ledger.sync().new(waiting) and ledger.healed == ledger.state.number


def _next(ledger: Ledger, waiting: list[str], known: dict[str, Record]) -> tuple[list[Record], list[str]]:
    """Return the records to claim next, and the names of all unclaimed records.

    Args:
        ledger: The table.
        waiting: Names of records that may be unclaimed.
        known: Records in memory, by name; those that are read are added, and kept until they are claimed.

    Raises:
        Moved: A record is gone.
    """
    waiting = ledger.state.new(waiting)
    while waiting:
        candidates = waiting[:MAX_RECORDS]
        known_before = {name: known[name] for name in candidates if name in known}
        known.clear()
        known.update(known_before)
        known.update((r.name, r) for r in ledger.readable([name for name in candidates if name not in known]))
        rows = 0
        records: list[Record] = []
        for name in candidates:
            if name in known:
                rows += len(known[name].rows)
                if records and rows > MAX_ROWS:
                    break
                records.append(known[name])
        if records:
            return records, waiting
        waiting = waiting[MAX_RECORDS:]  # this version can publish none of the candidates
    return [], []


def plan(table: Table, state: State, records: list[Record], now: float) -> Claim:
    """Return the claim that publishes `records` after `state`, without the rows whose keys are published already."""
    keys: dict[str, str] = {}  # key -> record that publishes it
    skip: dict[str, tuple[int, ...]] = {}
    rows = 0
    for record in records:
        skipped = [i for i, row in enumerate(record.rows) if table.key and not _takes(table, state, keys, record, row)]
        if skipped:
            skip[record.name] = tuple(skipped)
        rows += len(record.rows) - len(skipped)
    return Claim(
        number=state.number,
        op="add",
        month=datetime.fromtimestamp(now, UTC).strftime("%Y-%m"),
        at=now,
        rows=rows,
        records=tuple((record.name, record.digest) for record in records),
        skip=skip,
        keys=tuple(keys),
    )


def _takes(table: Table, state: State, keys: dict[str, str], record: Record, row: dict[str, object]) -> bool:
    """Return whether this row publishes its key; if so, add the key to `keys`."""
    key = str(row[table.key or ""])
    if key in state.keys:
        return False
    if key in keys:
        return table.unique == "record" and keys[key] == record.name
    keys[key] = record.name
    return True


def anchor(ledger: Ledger) -> None:
    """Write the zero-row file that sorts first and holds the newest schema, unless it has all columns already.

    Plain pandas takes the schema of the first file that it meets, and drops columns that this file lacks. The numbers
    in the names of anchors count down, so that each newer anchor sorts before the older ones, which are kept. An anchor
    follows from the columns of a version of nst: one that is damaged is written again with those of this version.
    """
    table, codec = ledger.table, ledger.codec
    while True:
        stats = ledger.store.list(layout.anchors(table.name))
        numbers = [number for stat in stats if (number := layout.anchor_number(stat.key)) is not None]
        number = min(numbers, default=9999)
        newest = layout.anchor(table.name, number, codec.suffix)
        damaged = False
        try:
            data = codec.anchor(table, ledger.store.get(newest) if numbers else None)
        except TypeError:
            raise  # a column has another type than in the anchor: a fault of this version, not of the file
        except (OSError, ValueError, KeyError) as error:  # what Arrow raises about bytes that are no Parquet
            LOGGER.warning("%s is damaged and is written again: %s", ledger.store.url(newest), error)
            data, damaged = codec.anchor(table, None), True
        key = newest if damaged else layout.anchor(table.name, number - 1, codec.suffix)
        if data is None or ledger.store.put(key, data, create=not damaged):
            return
