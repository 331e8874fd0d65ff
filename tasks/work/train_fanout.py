"""Feeds trainings to the device workers; one that kills every worker it is given fails, as cells do in `fanout`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from nst.errors import WorkerLost
from tasks.effect import effect
from tasks.jobs import Failure, TrainingOutcome
from tasks.work.model_rows import failed_training_row
from tasks.work.workplace import software

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.jobs import TrainingJob
    from tasks.work.workers import DevicePool


class TrainingFanout:
    """Runs trainings on a pool of device workers; safe to call from several threads.

    Args:
        pool: The device workers.
        catalog: Where the failures of trainings that kill their workers are recorded.
    """

    def __init__(self, pool: DevicePool, catalog: Catalog) -> None:
        self._pool = pool
        self._catalog = catalog

    @effect(retries=2, retry_delays_s=(5, 30))
    def train(self, job: TrainingJob) -> TrainingOutcome:
        """Train one network; a retry goes on from the last checkpoint.

        Raises:
            TransientError: The store did not answer.
            Stopped: The pool was closed; the next run goes on from the last checkpoint.
            DeviceError: No device works any more; the next run goes on from the last checkpoint.
        """
        started = datetime.now(UTC)
        try:
            return self._pool.run(job)
        except WorkerLost as error:
            row = failed_training_row(job, error, {"started_at": started, **software(), **error.workplace})
            self._catalog.commit("failures", job.spec.model_id, f"attempt-{job.attempt}", [row])
            return TrainingOutcome(job.spec.model_id, Failure.of(job.spec.model_id, error))
