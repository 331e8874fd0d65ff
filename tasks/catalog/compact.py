"""Few large files instead of many small ones, and no commit record kept longer than it may be needed.

Only the number of files makes reading slow. A compaction is a claim of the log like any other: replaced files are
removed after the new file is written, so that plain readers may see rows twice in between, and never miss a row.

A plain reader that listed the folder just before, and opens a replaced file just after, finds it missing. Keeping the
file for a while would not help: it would be listed all that time, with its rows twice, and whoever lists the folder
just before the removal would find it missing as well. So rows are read twice for as short a time as possible, and files
are merged seldom: at the end of a run, nightly, and where a long run has made 64 small ones, which is once an hour.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nst.errors import UserError
from tasks.catalog import layout
from tasks.catalog.heal import build, heal
from tasks.catalog.ledger import LOGGER, MOST_SMALL_FILES, RECORDS_KEPT_S, Ledger, Moved
from tasks.catalog.log import Claim, State

if TYPE_CHECKING:
    from collections.abc import Iterable

SMALL_ROWS = 10_000
MOST_ROWS = 200_000


def compact(ledger: Ledger, *, open_files: int = 8, closed_files: int = 2) -> int:
    """Merge the small files of each month that has too many and return how many files were replaced.

    Args:
        ledger: The table.
        open_files: Number of small files (fewer than 10,000 rows) at which those of the current month are merged.
        closed_files: The same for each earlier month.
    """
    ledger.sync()
    replaced, attempt, is_first = 0, 0, True
    made: dict[int, bytes] = {}
    while True:
        try:
            heal(ledger, made=made, force=is_first)
            made.clear()
            is_first = False
            claim = plan(ledger.state, ledger.clock(), open_files, closed_files)
            if claim is None:
                return replaced
            # Made before it is claimed: a claim of a damaged file would stop all publishers, who write what is claimed.
            merged = build(ledger, claim)
            if ledger.append(claim):
                made[claim.number] = merged
                replaced += len(claim.inputs)
                attempt = 0
        except Moved:
            ledger.sync()
            ledger.back_off(attempt)
            attempt += 1


def plan(state: State, now: float, open_files: int, closed_files: int) -> Claim | None:
    """Return the next compaction that is due, the earliest month first, or None."""
    current = datetime.fromtimestamp(now, UTC).strftime("%Y-%m")
    small: dict[str, list[str]] = defaultdict(list)
    for file, rows in sorted(state.live.items(), key=lambda item: item[1]):
        if rows < SMALL_ROWS:
            small[file.split("/month=")[1].split("/")[0]].append(file)
    for month, files in sorted(small.items()):
        if len(files) < max(2, open_files if month >= current else closed_files):
            continue
        inputs: list[str] = []
        rows = 0
        for file in files:
            rows += state.live[file]
            if len(inputs) >= 2 and (rows > MOST_ROWS or len(inputs) >= MOST_SMALL_FILES):
                break
            inputs.append(file)
        total = sum(state.live[file] for file in inputs)
        return Claim(state.number, "compact", month, now, total, inputs=tuple(sorted(inputs)))
    return None


def keep_few(ledger: Ledger) -> None:
    """Merge small files if a month has many of them; otherwise there is no request.

    Files that cannot be merged, since one is damaged, are left as they are: rows can be published beside them.
    """
    if plan(ledger.state, ledger.clock(), ledger.most_small, ledger.most_small):
        try:
            compact(ledger, open_files=ledger.most_small, closed_files=ledger.most_small)
        except UserError as error:
            LOGGER.error("small files are not merged: %s", error)


def gc(ledger: Ledger, *, grace: float = RECORDS_KEPT_S) -> int:
    """Remove commit records that were published at least `grace` seconds ago and return how many.

    Old checkpoints but the newest two go too. Claims stay: they are the table's history and small.
    """
    for attempt in range(100):
        waiting = ledger.pending()
        ledger.sync()
        try:
            heal(ledger, force=True)
        except Moved:
            ledger.back_off(attempt)
            continue
        cleared = clear(ledger, waiting, grace=grace, most=len(waiting))
        saved = ledger.store.list(layout.checkpoints(ledger.table.name))
        ledger.delete(stat.key for stat in saved[:-2])
        return cleared
    return 0


def clear(ledger: Ledger, names: Iterable[str], *, grace: float, most: int) -> int:
    """Remove those of these commit records that were published at least `grace` seconds ago and return how many.

    Records of claims whose files this process has not seen in their places are left alone. Nothing else depends on the
    grace: whoever misses a record reads the log again and finds it published. What it leaves time for is to make a
    file again that was lost, and it spares those who read meanwhile the second reading.

    Args:
        ledger: The table, folded and healed.
        names: The records.
        grace: Seconds by the clocks of the publishers, which may differ.
        most: How many are removed at most.
    """
    state, now = ledger.state, ledger.clock()
    claimed = ((name, state.records[name]) for name in names if name in state.records)
    old = [name for name, number in claimed if number < ledger.healed and state.times[number] + grace <= now]
    ledger.delete(layout.record(ledger.table.name, name) for name in old[:most])
    return len(old[:most])
