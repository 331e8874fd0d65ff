"""How far the sweeps below a root are, from the catalog alone: also while they run, and when nothing runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.errors import InputError
from tasks.effect import effect
from tasks.heartbeat import running_sweeps
from tasks.root import Root

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """One submitted sweep, in cells: `done + failed + to_do == total`; a failed cell has failed attempts only."""

    sweep_id: str
    name: str
    submitted_at: datetime
    total: int
    done: int
    failed: int
    to_do: int
    running: bool


def sweep_statuses(root: Root) -> list[SweepStatus]:
    """Return the status of every sweep below a root, the newest first."""
    catalog = root.catalog
    table = catalog.read("sweeps", ["sweep_id", "sweep_name", "cell_id", "submitted_at"])
    if not table.num_rows:
        return []
    done, tried, running = catalog.keys("results"), catalog.keys("failures"), running_sweeps(root.store)
    names: dict[str, tuple[str, datetime]] = {}
    cells: dict[str, set[str]] = {}
    columns = (table.column(name).to_pylist() for name in table.column_names)
    for sweep_id, name, cell_id, submitted_at in zip(*columns, strict=True):
        names.setdefault(sweep_id, (name, submitted_at))
        cells.setdefault(sweep_id, set()).add(cell_id)  # a cell has a row for each of its names
    counts = {
        sweep_id: Counter(0 if cell in done else 1 if cell in tried else 2 for cell in found)
        for sweep_id, found in cells.items()
    }
    statuses = [
        SweepStatus(
            sweep_id=sweep_id,
            name=name,
            submitted_at=submitted_at,
            total=len(cells[sweep_id]),
            done=counts[sweep_id][0],
            failed=counts[sweep_id][1],
            to_do=counts[sweep_id][2],
            running=sweep_id in running,
        )
        for sweep_id, (name, submitted_at) in names.items()
    ]
    return sorted(statuses, key=lambda status: status.submitted_at, reverse=True)


@effect(retries=2, retry_delays_s=(2, 10))
def count_done(root: Root, cells: Iterable[str]) -> int:
    """Return how many of these cells the store holds rows of, whatever this process remembers of the catalog.

    Raises:
        StorageError: A file of published rows is missing, and so is what it was made from.
    """
    catalog = Root(root.uri, single_publisher=root.single_publisher).catalog
    catalog.heal("results")
    done = catalog.keys("results")
    return sum(cell in done for cell in cells)


def find_sweep(root: Root, wanted: str) -> SweepStatus:
    """Return the newest sweep that has this name or whose id begins with it.

    Raises:
        InputError: There is no such sweep.
    """
    statuses = sweep_statuses(root)
    for status in statuses:
        if wanted == status.name or (len(wanted) >= 4 and status.sweep_id.startswith(wanted)):
            return status
    names = ", ".join(sorted({status.name for status in statuses})) or "none"
    raise InputError(f"no sweep {wanted!r} below {root.uri}", hint=f"sweeps there: {names}")
