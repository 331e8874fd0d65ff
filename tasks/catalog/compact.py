"""Few large files instead of many small ones, and no commit record kept longer than it may be needed.

Only the number of files makes reading slow. A compaction is a claim of the log like any other: replaced files are
removed after the new file is written, so that plain readers may see rows twice in between, and never miss a row.

A plain reader that listed the folder just before, and opens a replaced file just after, finds it missing. Keeping the
file for a while would not help: it would be listed all that time, with its rows twice, and whoever lists the folder
just before the removal would find it missing as well. So rows are read twice for as short a time as possible, and files
are merged seldom: at the end of a run, and nightly.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tasks.catalog import layout
from tasks.catalog.heal import heal
from tasks.catalog.ledger import Ledger, Moved
from tasks.catalog.log import Claim, State

if TYPE_CHECKING:
    from collections.abc import Iterable

RECORDS_KEPT_S = 600.0
"""For how long commit records stay after they were published, seconds."""

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
    replaced, attempt = 0, 0
    while True:
        try:
            heal(ledger, force=attempt == 0)
            claim = plan(ledger.state, ledger.clock(), open_files, closed_files)
            if claim is None:
                return replaced
            if ledger.append(claim):
                replaced += len(claim.inputs)
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
            if len(inputs) >= 2 and rows > MOST_ROWS:
                break
            inputs.append(file)
        total = sum(state.live[file] for file in inputs)
        return Claim(state.number, "compact", month, now, total, inputs=tuple(sorted(inputs)))
    return None


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
        cleared = clear(ledger, waiting, grace=grace)
        saved = ledger.store.list(layout.checkpoints(ledger.table.name))
        ledger.delete(stat.key for stat in saved[:-2])
        return cleared
    return 0


def clear(ledger: Ledger, names: Iterable[str], *, grace: float = RECORDS_KEPT_S) -> int:
    """Remove those of these commit records that were published at least `grace` seconds ago and return how many.

    Records of claims whose files this process has not seen in their places are left alone.
    """
    state, now = ledger.state, ledger.clock()
    claimed = ((name, state.records[name]) for name in names if name in state.records)
    old = [name for name, number in claimed if number < ledger.healed and state.times[number] + grace <= now]
    ledger.delete(layout.record(ledger.table.name, name) for name in old)
    return len(old)
