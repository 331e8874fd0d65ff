"""One long-lived worker process per device, spawned, pinned before torch is imported, its backbone kept warm.

A worker that dies (killed, lost GPU, crashed decoder) costs its job one attempt, and another worker takes its place.
What it means when a job kills one worker after the other is decided by `fanout`. Knows nothing of Prefect.
"""

from __future__ import annotations

import multiprocessing
import queue
import signal
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, overload

from nst.errors import Stopped, WorkerLost
from tasks.jobs import BatchOutcome
from tasks.work.devices import usable_cores
from tasks.work.serve import serve
from tasks.work.spawning import without_main

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tasks.jobs import Job, TrainingJob, TrainingOutcome
    from tasks.root import Root

if TYPE_CHECKING:
    AnyJob = TypeVar("AnyJob", Job, TrainingJob, Job | TrainingJob)

OnStep = Callable[[str, int, int], None]
"""Called with (id of batch or model, step, all steps) at most twice a second per device."""

OnOutcome = Callable[[BatchOutcome], None]
"""Called with what became of a batch, as soon as its rows are committed."""

OnPreview = Callable[[Mapping[str, int]], None]
"""Called with the steps after which previews of cells were stored, by their ids."""

CRASHES_BEFORE_QUARANTINE: Final = 3
"""Workers that a job may kill before it is given up."""

_OPEN_JOBS: Final = 2
"""Jobs that a worker may have at one time: one that it computes, and one that it writes."""


class DevicePool:
    """Runs jobs on device workers; `run` may be called from as many threads as there are devices.

    Args:
        root: The root that the workers write to.
        devices: "cpu", "mps", "cuda:<id>"; one worker each. Naming a device twice gives it two workers.
        on_step: Progress of a job, called from the thread that waits for it.
    """

    def __init__(self, root: Root, devices: Sequence[str], on_step: OnStep | None = None) -> None:
        self._on_steps = [on_step] if on_step else []
        self._on_outcomes: list[OnOutcome] = []
        self._on_previews: list[OnPreview] = []
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        threads = max(1, usable_cores() // max(1, sum(device == "cpu" for device in devices)))
        self._workers = [_Worker(root, device, threads) for device in devices]
        for worker in self._workers:
            worker.start()
            self._idle.put(worker)
        self.devices = tuple(devices)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
    def run(self, job: Job, *, crashes: int = ...) -> BatchOutcome: ...
    @overload
    def run(self, job: TrainingJob, *, crashes: int = ...) -> TrainingOutcome: ...
    def run(
        self, job: Job | TrainingJob, *, crashes: int = CRASHES_BEFORE_QUARANTINE
    ) -> BatchOutcome | TrainingOutcome:
        """Run one job on the next idle worker; a dead worker is replaced and the job tried again.

        Args:
            job: What to run.
            crashes: Workers that the job may kill.

        Raises:
            WorkerLost: The job killed as many workers.
            Stopped: The pool was closed.
            TransientError, Exception: Whatever the job raised in the worker.
        """
        worker = self._idle.get()
        try:
            for crash in range(1, crashes + 1):
                outcome: BatchOutcome | TrainingOutcome | Exception = worker.run([job], self._told)[0][1]
                if not isinstance(outcome, WorkerLost) or crash == crashes:
                    break
        finally:
            self._idle.put(worker)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def run_in_turn(self, jobs: Sequence[Job]) -> list[tuple[Job, BatchOutcome | Exception]]:
        """Run batches one after the other on the next idle worker, each written while the next one is computed.

        After an error no further batch is begun.

        Returns:
            The first of the jobs, at least one, each with its outcome or what it raised; `WorkerLost` for what the
            worker had not acknowledged when it died.

        Raises:
            Stopped: The pool was closed.
        """
        worker = self._idle.get()
        try:
            return worker.run(jobs, self._told)
        finally:
            self._idle.put(worker)

    def pids(self) -> list[int]:
        """Return the process ids of the living workers."""
        processes = [worker.process for worker in self._workers]
        return [process.pid for process in processes if process and process.pid and process.is_alive()]

    def close(self) -> None:
        """Stop all workers, also in the middle of a batch: what is not committed is done again by the next run."""
        for worker in self._workers:
            worker.stop()


class _Worker:
    """The parent's end of one worker process."""

    def __init__(self, root: Root, device: str, threads: int) -> None:
        self.device = device
        self.arguments = (root, device, threads)
        self.process: multiprocessing.process.BaseProcess | None = None
        self.connection: Connection | None = None
        self.stopping = False
        self._changing = threading.Lock()

    def start(self) -> None:
        """Start a process.

        Raises:
            Stopped: The pool was closed.
        """
        context = multiprocessing.get_context("spawn")
        label = f"{self.device}-{uuid.uuid4().hex[:6]}"  # what the column `worker` holds
        with self._changing:
            self._refuse_if_stopping()
            self.connection, child_end = context.Pipe()
            self.process = context.Process(target=serve, args=(child_end, *self.arguments), name=label, daemon=True)
            # Control-C reaches the whole process group: the child is born deaf to it, not only after its first imports.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                with without_main():
                    self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            child_end.close()

    def run(self, jobs: Sequence[AnyJob], told: Callable[[str, str, Any], None]) -> list[tuple[AnyJob, Any]]:
        """Run jobs as `DevicePool.run_in_turn` does.

        Args:
            jobs: The jobs.
            told: Called with (kind, key of the job, value) of what concerns more than the order of jobs.
        """
        self._refuse_if_stopping()
        if self.process is None or not self.process.is_alive():
            self.start()
        assert self.connection is not None
        waiting = deque(jobs)
        open_: dict[str, AnyJob] = {}
        ended: list[tuple[AnyJob, Any]] = []
        free = True  # whether the worker computes nothing
        try:
            while waiting or open_:
                if waiting and free and len(open_) < _OPEN_JOBS:
                    job = waiting.popleft()
                    open_[job.key] = job
                    self.connection.send(job)
                    free = False
                    continue
                kind, key, value = self.connection.recv()
                if kind in {"step", "preview"}:
                    told(kind, key, value)
                elif kind == "computed":
                    free = True
                else:
                    ended.append((open_.pop(key), value))
                    if kind == "error":
                        waiting.clear()
                    else:
                        told(kind, key, value)
        except (EOFError, ConnectionError):
            self._refuse_if_stopping()
            lost = WorkerLost(f"the worker of {self.device} died {self._cause_of_death()}")
            lost.workplace = {"worker": self.process.name if self.process else None, "device": self.device}
            ended += [(job, lost) for job in open_.values()]
        return ended

    def _refuse_if_stopping(self) -> None:
        if self.stopping:
            raise Stopped(f"the worker of {self.device} was stopped")

    def _cause_of_death(self) -> str:
        assert self.process is not None
        self.process.join(timeout=5)
        code = self.process.exitcode
        if code is not None and code < 0:
            hint = ", perhaps by lack of memory" if -code == signal.SIGKILL else ""
            return f"by {signal.Signals(-code).name}{hint}"
        return f"with exit code {code}"

    def stop(self) -> None:
        """End the process; a thread that waits for its answer sees the pipe close."""
        with self._changing:
            self.stopping = True
            process = self.process
        if process is not None and process.is_alive():
            process.terminate()
            process.join(timeout=2)
            if process.is_alive():
                process.kill()
                process.join(timeout=2)
