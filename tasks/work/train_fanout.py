"""Feeds trainings to the device workers, and decides what a dead worker means for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.errors import WorkerLost
from tasks.effect import effect
from tasks.jobs import Failure, Trained
from tasks.work.model_rows import failed_training_row

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.jobs import TrainingJob
    from tasks.work.workers import DevicePool


class Trainers:
    """Runs trainings on a pool of devices; safe to call from several threads.

    Args:
        pool: The device workers.
        catalog: Where trainings that kill their workers are recorded.
    """

    def __init__(self, pool: DevicePool, catalog: Catalog) -> None:
        self._pool = pool
        self._catalog = catalog

    @effect(retries=2, retry_delays_s=(5, 30))
    def train(self, job: TrainingJob) -> Trained:
        """Train one network; tried again, it goes on from its last checkpoint.

        Raises:
            TransientError: The store gave up.
        """
        try:
            return self._pool.run(job)
        except WorkerLost as error:
            if self._pool.closed:  # the run is being stopped
                raise
            row = failed_training_row(job, error)
            self._catalog.commit("failures", job.spec.model_id, f"attempt-{job.attempt}", [row])
            failure = Failure(job.spec.model_id, type(error).__name__, str(error))
            return Trained(job.spec.model_id, 0, 0.0, failure)
