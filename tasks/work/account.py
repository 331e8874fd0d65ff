"""What one run took part in, and what that took of its devices: its row in the table `runs`.

The row is written once, when the participation ends, however it ends; a process that is killed leaves none, and neither
does one for which others left nothing. What a killed process had done is in the rows of its pictures, each with its
device and its seconds. Nothing depends on the account.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal, Self

from nst.errors import NstError
from nst.planning.rates import rate_of
from tasks.catalog.cells import to_json
from tasks.effect import call_with_policy, effect
from tasks.heartbeat import TRAININGS
from tasks.jobs import Job
from tasks.processes import named_user

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from types import TracebackType

    from nst.planning.rates import Rate
    from tasks.catalog import Catalog
    from tasks.jobs import BatchOutcome, TrainingOutcome
    from tasks.work.worker import AnyJob
    from tasks.work.workers import DevicePool


@effect(retries=2, retry_delays_s=(2, 10))
def put_on_record(catalog: Catalog, row: Mapping[str, Any]) -> None:
    """Commit and publish the row of a participation; of several with one id, the first counts."""
    catalog.commit("runs", row["sweep_id"] or TRAININGS, row["run_id"], [row])
    catalog.publish("runs")


@dataclass(slots=True)
class _InHand:
    """A batch or a training that has been given to the devices and has not ended.

    Attributes:
        method: Its method, or its family.
        count: Number of its cells; 1 for a training.
        estimate: Seconds that it was expected to take on one device; None if nobody knew.
        step: The step that was heard of last.
        first, last: When its first and its last step were heard of.
    """

    method: str
    count: int
    estimate: float | None
    step: int = -1
    first: float = 0.0
    last: float = 0.0


class Account:
    """Counts what a participant does, from when it is entered; the row is written when it is left, if it took anything.

    Args:
        catalog: The catalog of the root.
        run_id: Id of the participant.
        pool: Its device workers, whose progress is heard.
        kind: What it takes part in.
        name: Name of the manifest.
        sweep_id: The sweep; None for trainings.
        submitted_by: Who submitted it; None for nobody named.
        history: Seconds per unit of cost that are known now.
        by_others: What others did between the planning and now.
    """

    def __init__(
        self,
        catalog: Catalog,
        run_id: str,
        pool: DevicePool,
        *,
        kind: Literal["sweep", "train"],
        name: str,
        sweep_id: str | None = None,
        submitted_by: str | None = None,
        history: Mapping[Rate, float] | None = None,
        by_others: int = 0,
    ) -> None:
        self._catalog, self._devices, self._history = catalog, pool.devices, history or {}
        self._about = {
            "run_id": run_id,
            "kind": kind,
            "sweep_id": sweep_id,
            "name": name,
            "user": named_user(),
            "submitted_by": submitted_by,
            "devices": to_json(pool.devices),
            "nst_version": version("nst-batch"),
        }
        self.by_others = by_others
        self._done = self._failed = 0
        self._seconds: dict[str, float] = {}  # by method
        self._estimate: float | None = 0.0
        self._in_hand: dict[str, _InHand] = {}
        self._lock = threading.Lock()  # devices tell from threads of their own
        self._hearing: AbstractContextManager[None] = pool.watched(self._step, lambda _: None, lambda _: None)
        self._started, self._clock = datetime.now(UTC), time.monotonic()

    def __enter__(self) -> Self:
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._hearing.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._hearing.__exit__(kind, error, at)
        if not self._seconds:  # it took nothing
            return
        row = self._row(stopped=error is not None)
        if error is None:
            call_with_policy(put_on_record, self._catalog, row)
            return
        with suppress(NstError):  # what ended the run is told, and not that the store is gone as well
            put_on_record(self._catalog, row)

    def takes(self, job: AnyJob) -> AnyJob:
        """Return a batch or a training that is begun now; only what was begun is heard of afterwards."""
        if isinstance(job, Job):
            config, batch = job.batch.cells[0].config, job.batch
            rate = self._history.get(rate_of(config))
            begun = _InHand(config.name, len(batch.cells), None if rate is None else rate * batch.cost)
        else:
            begun = _InHand(job.spec.config.family, 1, None)
        with self._lock:
            self._in_hand[job.key] = begun
            self._seconds.setdefault(begun.method, 0.0)
        return job

    def ended(self, outcome: BatchOutcome | TrainingOutcome) -> None:
        """Count what became of a batch or a training; to be called twice counts once."""
        with self._lock:
            begun = self._in_hand.pop(outcome.key, None)
            if begun is None:
                return
            self._done += len(outcome.done)
            self._failed += len(outcome.failed)
            self._seconds[begun.method] += outcome.seconds
            if outcome.done and self._estimate is not None:  # what is not known of a part is not known of the whole
                share = len(outcome.done) / begun.count
                self._estimate = None if begun.estimate is None else self._estimate + begun.estimate * share

    def _step(self, key: str, step: int, _steps: int) -> None:
        """Hear of the progress of a batch or a training. Whoever begins it anew after a worker was lost counts anew."""
        now = time.monotonic()
        with self._lock:
            if begun := self._in_hand.get(key):
                if step < begun.step or begun.step < 0:
                    begun.first = now
                begun.step, begun.last = step, now

    def _row(self, *, stopped: bool) -> dict[str, Any]:
        seconds = time.monotonic() - self._clock
        with self._lock:
            for begun in self._in_hand.values():  # a training that is stopped has had its device for hours
                self._seconds[begun.method] += begun.last - begun.first
            spent = sum(self._seconds.values())
            return {
                **self._about,
                "started_at": self._started,
                "ended_at": datetime.now(UTC),
                "seconds": seconds,
                "device_seconds": spent,
                "methods": to_json(sorted(self._seconds)),
                "method_seconds": to_json(self._seconds),
                "busy": spent / (seconds * len(self._devices)),
                "estimated_seconds": self._estimate if self._done else None,
                "done": self._done,
                "failed": self._failed,
                "by_others": self.by_others,
                "stopped": stopped,
            }
