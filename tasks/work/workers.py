"""One long-lived worker process per device, spawned, pinned before torch is imported, its backbone kept warm.

A worker that dies or hangs (killed, lost GPU, crashed decoder) costs its job one attempt, and another worker takes its
place: one of another device, if there is one. Whether the job or the device is at fault is decided by the self-test of
that other worker: one that does not pass it is a strike against the device and nothing against the job. A device that
has had too many strikes is used no more, and its jobs go to the others.

What it means when a job loses one worker after the other is decided by `fanout`. Knows nothing of Prefect.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Self, overload

from nst.errors import DeviceError, Stopped, WorkerLost
from tasks.jobs import BatchOutcome
from tasks.work.devices import usable_cores
from tasks.work.locks import DeviceLock, lock_of
from tasks.work.worker import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.jobs import Job, TrainingJob, TrainingOutcome
    from tasks.root import Root
    from tasks.work.worker import AnyJob

LOGGER: Final = logging.getLogger("nst.devices")

OnStep = Callable[[str, int, int], None]
"""Called with (id of batch or model, step, all steps) at most twice a second per device."""

OnOutcome = Callable[[BatchOutcome], None]
"""Called with what became of a batch, as soon as its rows are committed."""

OnPreview = Callable[[Mapping[str, int]], None]
"""Called with the steps after which previews of cells were stored, by their ids."""

WORKERS_BEFORE_QUARANTINE: Final = 3
"""Workers that a job may lose before it is given up."""

STRIKES: Final = 3
"""How often in a row, without a job done in between, a device may fail its self-test before it is used no more."""

_LOOK_S: Final = 0.5
"""Seconds between two attempts to take the lock of a device that another run uses."""


class DevicePool:
    """Runs jobs on device workers; `run` may be called from as many threads as there are devices.

    The workers load while the caller goes on; that of a device which another run uses starts when it is free.

    Args:
        root: The root that the workers write to.
        devices: "cpu", "mps", "cuda:<id>"; one worker each. Naming a device twice gives it two workers.
        on_step: Progress of a job, called from the thread that waits for it.
        lock_of: Returns the lock of a device, None if it may be shared with other runs.
    """

    def __init__(
        self,
        root: Root,
        devices: Sequence[str],
        on_step: OnStep | None = None,
        lock_of: Callable[[str], DeviceLock | None] = lock_of,
    ) -> None:
        self._on_steps = [on_step] if on_step else []
        self._on_outcomes: list[OnOutcome] = []
        self._on_previews: list[OnPreview] = []
        self._lock_of = lock_of
        self._locks: dict[Path, DeviceLock] = {}
        self._awaited: list[DeviceLock] = []
        self._waiting: set[Worker] = set()  # whose devices other runs use
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._idle: deque[Worker] = deque()
        self._strikes: dict[Worker, int] = {}
        self._retired: list[Worker] = []
        threads = max(1, usable_cores() // max(1, sum(device == "cpu" for device in devices)))
        self._workers = [Worker(root, device, threads) for device in devices]
        self.devices = tuple(devices)
        self._beginnings = [threading.Thread(target=self._begin, args=(each,), daemon=True) for each in self._workers]
        for worker, thread in zip(self._workers, self._beginnings, strict=True):
            if self._locked(worker.device):
                with suppress(OSError):  # it is tried again
                    worker.start()
            else:
                self._waiting.add(worker)
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """Whether its workers were stopped."""
        return self._closing.is_set()

    @property
    def is_waiting(self) -> bool:
        """Whether no job can begin, since other runs use the devices: whoever claims anything would only hold it up."""
        with self._changed:
            return bool(self._waiting) and len(self._waiting) + len(self._retired) == len(self._workers)

    @contextmanager
    def watched(self, on_step: OnStep, on_outcome: OnOutcome, on_preview: OnPreview) -> Iterator[None]:
        """Call these, too, inside this context: from threads that wait for jobs. They are quick and do not raise."""
        self._on_steps.append(on_step)
        self._on_outcomes.append(on_outcome)
        self._on_previews.append(on_preview)
        try:
            yield
        finally:
            self._on_steps.remove(on_step)
            self._on_outcomes.remove(on_outcome)
            self._on_previews.remove(on_preview)

    def _told(self, kind: str, key: str, value: Any) -> None:
        """Hand on what a worker tells (`tasks.work.serve`)."""
        if kind == "step":
            for on_step in tuple(self._on_steps):
                on_step(key, *value)
        elif kind == "preview":
            for on_preview in tuple(self._on_previews):
                on_preview(value)
        elif isinstance(value, BatchOutcome):
            for on_outcome in tuple(self._on_outcomes):
                on_outcome(value)

    @overload
    def run(self, job: Job, lost: WorkerLost | None = ..., *, attempts: int = ...) -> BatchOutcome: ...
    @overload
    def run(self, job: TrainingJob, lost: WorkerLost | None = ..., *, attempts: int = ...) -> TrainingOutcome: ...
    def run(
        self, job: Job | TrainingJob, lost: WorkerLost | None = None, *, attempts: int = WORKERS_BEFORE_QUARANTINE
    ) -> BatchOutcome | TrainingOutcome:
        """Run one job on the next idle worker; if that is lost, it is replaced and the job tried on another device.

        Args:
            job: What to run.
            lost: How the job lost a worker before, if it has.
            attempts: Workers that it may lose from now on.

        Raises:
            WorkerLost: The job has lost so many workers, whose devices work.
            DeviceError: No device works any more.
            Stopped: The pool was closed.
            TransientError, Exception: Whatever the job raised in the worker.
        """
        losses = [lost] if lost else []
        while True:
            outcome: BatchOutcome | TrainingOutcome | Exception
            ((_, outcome),) = self._run_next([job], losses)
            if not isinstance(outcome, Exception):
                return outcome
            attempts -= 1
            if not isinstance(outcome, WorkerLost) or attempts <= 0:
                raise outcome
            losses.append(outcome)

    def run_in_turn(self, jobs: Sequence[Job]) -> list[tuple[Job, BatchOutcome | Exception]]:
        """Run batches one after the other on the next idle worker, each written while the next one is computed.

        After an error no further batch is begun.

        Returns:
            The first of the jobs, at least one, each with its outcome or what it raised; `WorkerLost` for what the
            worker had not acknowledged when it was lost, if its device works.

        Raises:
            DeviceError: No device works any more.
            Stopped: The pool was closed.
        """
        return self._run_next(jobs)

    def _run_next(self, jobs: Sequence[AnyJob], losses: Sequence[WorkerLost] = ()) -> list[tuple[AnyJob, Any]]:
        """Run jobs on the next idle worker, as `run_in_turn`; on another one if the device of the first one fails.

        Args:
            jobs: The jobs.
            losses: How they lost workers before.
        """
        avoided = {lost.workplace.get("device") for lost in losses}
        while True:
            worker = self._take(avoided)
            try:
                ended = self._ran(worker, jobs, is_suspected=bool(losses)) if self._made_ready(worker) else []
            finally:
                self._give_back(worker)
            if ended:
                return ended

    def _ran(self, worker: Worker, jobs: Sequence[AnyJob], *, is_suspected: bool) -> list[tuple[AnyJob, Any]]:
        """Run jobs on a worker that is ready, and return those whose end is no fault of its device.

        A device that fails its self-test after a job, and passes it in a new process, may have been brought down by the
        job. Only the first attempt of each job is then a strike, so that one job alone cannot have a device retired.
        """
        ended = worker.run(jobs, self._told)
        if any(not isinstance(outcome, Exception) for _, outcome in ended):
            self._strikes[worker] = 0
        lost = next((outcome for _, outcome in ended if isinstance(outcome, WorkerLost)), None)
        if lost is None:
            return ended
        LOGGER.warning("%s", lost)
        if worker.fault and not is_suspected:
            self._strikes[worker] = self._strikes.get(worker, 0) + 1
        if self._made_ready(worker):
            return ended
        return [(job, outcome) for job, outcome in ended if outcome is not lost]

    def _begin(self, worker: Worker) -> None:
        """Have a worker ready for the first time, once no other run uses its device."""
        try:
            while not self._locked(worker.device):
                if self._closing.wait(_LOOK_S):
                    return
            with self._changed:
                self._waiting.discard(worker)
            self._made_ready(worker)
        except Stopped:
            return
        except BaseException as error:
            worker.fault = f"{type(error).__name__}: {error}"
            self._retire(worker)
            raise
        self._give_back(worker)

    def _locked(self, device: str) -> bool:
        """Lock a device for this pool if no other run uses it, and return whether it may be used; say once if not."""
        lock = self._lock_of(device)
        if lock is None:
            return True
        with self._changed:
            lock = self._locks.setdefault(lock.path, lock)  # several workers, or two names, of one device
            if lock.acquire():
                return True
            if lock not in self._awaited:
                self._awaited.append(lock)
                LOGGER.warning("%s is used by %s; waiting", device, lock.holder() or "another process")
            return False

    def _made_ready(self, worker: Worker) -> bool:
        """Return whether a worker is ready, after as many starts as its device may fail; a device that fails retires.

        Raises:
            Stopped: The pool was closed.
        """
        while self._strikes.get(worker, 0) < STRIKES:
            if worker.prepare():
                return True
            self._strikes[worker] = self._strikes.get(worker, 0) + 1
        self._retire(worker)
        return False

    def _retire(self, worker: Worker) -> None:
        with self._changed:
            self._retired.append(worker)
            self._changed.notify_all()
        LOGGER.warning("%s is not used any more: %s", worker.device, worker.fault)
        worker.stop()

    def _take(self, avoided: Collection[str | None] = ()) -> Worker:
        """Wait for an idle worker: of another device than those to be avoided, while one of another may still come."""
        with self._changed:
            while not self._closing.is_set():
                if len(self._retired) == len(self._workers):
                    faults = dict.fromkeys(f"{worker.device}: {worker.fault}" for worker in self._retired)
                    raise DeviceError(f"no device works: {'; '.join(faults)}", hint="`nst doctor` tests each device")
                may_come = [each for each in self._workers if each not in self._retired and each not in self._waiting]
                others = {worker for worker in may_come if worker.device not in avoided}
                found = next((worker for worker in self._idle if not others or worker in others), None)
                if found is not None:
                    self._idle.remove(found)
                    return found
                self._changed.wait()
        raise Stopped("the pool was closed")

    def _give_back(self, worker: Worker) -> None:
        with self._changed:
            if worker not in self._retired:
                self._idle.append(worker)
                self._changed.notify_all()  # not each of those that wait may take it

    def pids(self) -> list[int]:
        """Return the process ids of the living workers."""
        processes = [worker.process for worker in self._workers]
        return [process.pid for process in processes if process and process.pid and process.is_alive()]

    def close(self) -> None:
        """Stop all workers, also in the middle of a batch: what is not committed is done again by the next run."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        for worker in self._workers:
            worker.stop()
        for thread in self._beginnings:
            thread.join(timeout=2)
        for lock in self._locks.values():
            lock.release()
