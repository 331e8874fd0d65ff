"""Few large files instead of many small ones, and no commit record kept longer than it may be needed.

Only the number of files makes reading slow. A compaction is a claim of the log like any other: replaced files are
removed after the new file is written, so that plain readers may see rows twice in between, and never miss a row.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime

from tasks.catalog import layout
from tasks.catalog.heal import heal
from tasks.catalog.ledger import Ledger, Moved
from tasks.catalog.log import Claim, State

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
            else:
                ledger.sync()
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


def gc(ledger: Ledger, *, grace: float = 3600.0) -> int:
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
        state, now = ledger.state, ledger.clock()
        old = [n for n in waiting if n in state.records and state.times[state.records[n]] + grace <= now]
        ledger.delete(layout.record(ledger.table.name, name) for name in old)
        saved = ledger.store.list(layout.checkpoints(ledger.table.name))
        ledger.delete(stat.key for stat in saved[:-2])
        return len(old)
    return 0
