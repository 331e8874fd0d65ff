"""Feeds chunks of batches to the device workers, and decides what a dead worker means for a batch.

The problem: a batch takes seconds, and a task run of Prefect costs tens of milliseconds by itself. And one picture can
crash the process that decodes it, so that its whole batch fails, however often it is tried again.

The rule: a chunk of batches is the unit of a task run (half a minute of work or more); a batch is the unit of retry and
of commit. A dead worker costs its batch one attempt, unless its device is found to be broken (`workers`). A batch that
kills every worker it is given is run cell by cell, and the cell that kills its worker alone is the one that fails.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nst.errors import WorkerLost
from tasks.effect import effect
from tasks.jobs import BatchOutcome, Failure, Job
from tasks.work.rows import failure_row, failures_id
from tasks.work.workers import WORKERS_BEFORE_QUARANTINE
from tasks.work.workplace import software

if TYPE_CHECKING:
    from nst.records import Cell
    from tasks.catalog import Catalog
    from tasks.work.workers import DevicePool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Batches that one task run carries out, one after another, on one device."""

    jobs: tuple[Job, ...]

    @property
    def key(self) -> str:
        """Id of the first batch, which names the task run."""
        return self.jobs[0].key


class Fanout:
    """Runs chunks of batches on a pool of device workers; safe to call from several threads.

    Args:
        pool: The device workers.
        catalog: Where the failures of cells that kill their workers are recorded.
    """

    def __init__(self, pool: DevicePool, catalog: Catalog) -> None:
        self._pool = pool
        self._catalog = catalog
        self._outcomes: dict[str, BatchOutcome] = {}
        self._lock = threading.Lock()

    @effect(retries=2, retry_delays_s=(5, 30))
    def stylize(self, chunk: Chunk) -> tuple[BatchOutcome, ...]:
        """Stylize the batches of a chunk; a retry goes on after the batches that are committed.

        Raises:
            TransientError: The store did not answer; the rest of the chunk is not done.
            Stopped: The pool was closed; the rest of the chunk is not done, and nobody is guilty.
            DeviceError: No device works any more; the rest of the chunk is not done, and no cell is guilty.
        """
        left = [job for job in chunk.jobs if job.key not in self._outcomes]
        while left:
            results = self._pool.run_in_turn(left)
            for _, result in results:
                if not isinstance(result, Exception):
                    self._keep(result)
            for job, result in results:
                if isinstance(result, WorkerLost):
                    self._keep(self._run_again(job, result))
                elif isinstance(result, Exception):
                    raise result
            left = left[len(results) :]
        return tuple(self._outcomes.pop(job.key) for job in chunk.jobs)

    def _keep(self, outcome: BatchOutcome) -> None:
        with self._lock:
            self._outcomes[outcome.batch_id] = outcome

    def _run_again(self, job: Job, lost: WorkerLost) -> BatchOutcome:
        """Run a batch that was open when a worker died; one that kills every worker it is given is run cell by cell."""
        try:
            return self._pool.run(job, lost, attempts=WORKERS_BEFORE_QUARANTINE - 1)
        except WorkerLost as error:
            lost = error
        outcomes = [self._run_alone(job.only(cell, alone_id(job, cell)), lost) for cell in job.batch.cells]
        return BatchOutcome(
            batch_id=job.batch.batch_id,
            done=tuple(cell_id for outcome in outcomes for cell_id in outcome.done),
            failed=tuple(failure for outcome in outcomes for failure in outcome.failed),
            seconds=sum(outcome.seconds for outcome in outcomes),
        )

    def _run_alone(self, job: Job, lost: WorkerLost) -> BatchOutcome:
        started = datetime.now(UTC)
        try:
            return self._pool.run(job, lost, attempts=1)
        except WorkerLost as error:
            return self._give_up(job, job.batch.cells[0], error, started)

    def _give_up(self, job: Job, cell: Cell, error: WorkerLost, started: datetime) -> BatchOutcome:
        row = failure_row(job, cell, error, "worker", {"started_at": started, **software(), **error.workplace})
        self._catalog.commit("failures", job.sweep_id, failures_id(job), [row])
        return BatchOutcome(job.batch.batch_id, done=(), failed=(Failure.of(cell.cell_id, error),))


def alone_id(job: Job, cell: Cell) -> str:
    """Return the batch id under which one cell of a batch is run alone."""
    return hashlib.blake2b(f"{job.batch.batch_id}:{cell.cell_id}".encode(), digest_size=16).hexdigest()
