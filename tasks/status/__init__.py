"""How far the sweeps below a root are, from the catalog alone: also while they run, and when nothing runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from tasks.catalog.parquet import from_file
from tasks.effect import effect
from tasks.heartbeat import participants
from tasks.planning.plan_files import is_meant, open_ids
from tasks.planning.withdrawal import withdrawn_ids
from tasks.root import Root

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    Attempts = Mapping[str, int]
    """Numbers of failed attempts by the id of a cell."""

_Run = tuple[str, str, str, datetime, list[str]]
"""Rows of one sweep: its id, its name, where its manifest was read, when it was submitted, and the ids of cells."""

Told = Callable[[str, str, str, list[str]], None]
"""Called with the id of a sweep, its name, where its manifest was read, and cells of it with failed attempts only."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_AT_ONCE: Final = 5_000


@dataclass(frozen=True, slots=True)
class SweepStatus:
    """One submitted sweep, in cells: `done + failed + to_do == total`; a failed cell has failed attempts only.

    While a sweep is open, cells that have failed before its submission, and not since, are to be done.
    """

    sweep_id: str
    name: str
    submitted_at: datetime
    total: int
    done: int
    failed: int
    to_do: int
    running: int
    """How many runs take part in it now."""
    is_open: bool
    """Whether it waits for whoever takes part: it was submitted, and is not done."""
    is_withdrawn: bool
    """Whether somebody has withdrawn it since it was submitted last."""


def sweep_statuses(
    root: Root, told: Told = lambda *_: None, before: Mapping[str, Attempts] = MappingProxyType({})
) -> list[SweepStatus]:
    """Return the status of every sweep below a root, the newest first.

    Args:
        root: The root.
        told: Called for each sweep at least once.
        before: The failed attempts before its submission, by the id of an open sweep: they are to be made up for.
    """
    catalog = root.catalog
    done, tried, running = catalog.known("results"), catalog.counts("failures"), participants(root.store)
    open_now, withdrawn = open_ids(root.store), withdrawn_ids(root.store)

    def tallied(runs: Iterable[_Run]) -> list[tuple[str, _Tally]]:
        return list(_tallies(runs, done, tried, before, told))

    files, fresh = catalog.snapshot("sweeps", lambda file: tallied(_runs(file)))
    found: dict[str, _Tally] = {}
    for tallies in (*files, tallied(_fresh_runs(fresh))):
        for sweep_id, tally in tallies:
            found.setdefault(sweep_id, _Tally(tally.name, tally.submitted)).add(tally)
    statuses = [
        SweepStatus(
            sweep_id=sweep_id,
            name=tally.name,
            submitted_at=tally.submitted,
            total=tally.done + tally.failed + tally.to_do,
            done=tally.done,
            failed=tally.failed,
            to_do=tally.to_do,
            running=running[sweep_id],
            is_open=sweep_id in open_now,
            is_withdrawn=sweep_id in withdrawn and sweep_id not in open_now,
        )
        for sweep_id, tally in found.items()
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
    done = catalog.known("results")
    return sum(cell in done for cell in cells)


@dataclass(slots=True)
class _Tally:
    """What is known of the cells of one sweep, in one file of the table or in all."""

    name: str
    submitted: datetime
    done: int = 0
    failed: int = 0
    to_do: int = 0

    def add(self, other: _Tally) -> None:
        """Add the counts of another file."""
        self.submitted = min(self.submitted, other.submitted)
        self.done += other.done
        self.failed += other.failed
        self.to_do += other.to_do


def _runs(file: bytes) -> Iterator[_Run]:
    """Yield neighbouring rows of one sweep, without a cell's rows under further names."""
    import pyarrow.compute as pc

    table = from_file(file, ["sweep_id", "sweep_name", "submitted_at", "manifest_uri", "cell_id", "alias"])
    table = table.filter(pc.is_null(table["alias"]))
    # Arrow would import pandas for the time itself, which takes a third of a second; the number says the same.
    table = table.set_column(2, "submitted_at", table["submitted_at"].cast("int64"))
    for batch in table.to_batches(max_chunksize=_ROWS_AT_ONCE):
        start = 0
        for end in pc.run_end_encode(batch["sweep_id"]).run_ends.to_pylist():
            sweep_id, name, submitted, manifest = (batch[number][start].as_py() for number in range(4))
            cells = batch["cell_id"].slice(start, end - start).to_pylist()
            yield sweep_id, name, manifest or "", _EPOCH + timedelta(microseconds=submitted), cells
            start = end


def _fresh_runs(rows: Iterable[Mapping[str, Any]]) -> Iterator[_Run]:
    """Yield the rows that are not published yet, as `_runs` does."""
    for row in rows:
        if not row.get("alias"):
            submitted = datetime.fromisoformat(row["submitted_at"])
            yield row["sweep_id"], row["sweep_name"], row.get("manifest_uri") or "", submitted, [row["cell_id"]]


def _tallies(
    runs: Iterable[_Run], done: Container[str], tried: Attempts, before: Mapping[str, Attempts], told: Told
) -> Iterator[tuple[str, _Tally]]:
    """Yield what is known of the cells of each run, with the id of its sweep."""
    for sweep_id, name, manifest, submitted, cells in runs:
        open_cells = [cell for cell in cells if cell not in done]
        old = before.get(sweep_id, {})
        failed = [cell for cell in open_cells if tried.get(cell, 0) > old.get(cell, 0)]
        told(sweep_id, name, manifest, failed)
        to_do = len(open_cells) - len(failed)
        yield sweep_id, _Tally(name, submitted, len(cells) - len(open_cells), len(failed), to_do)


def find_sweeps(root: Root, wanted: str) -> list[SweepStatus]:
    """Return the sweeps that have this name or whose id begins with it, at least one, the newest first.

    A manifest that is changed is another sweep of the same name.

    Raises:
        InputError: There is no such sweep.
    """
    statuses = sweep_statuses(root)
    found = [status for status in statuses if is_meant(wanted, status.name, status.sweep_id)]
    if not found:
        names = ", ".join(sorted({status.name for status in statuses})) or "none"
        raise InputError(f"no sweep {wanted!r} below {root.uri}", hint=f"sweeps there: {names}")
    return found
