"""The parent's end of one worker process: starts it, feeds it, watches over it, and says how it ended.

A process that is killed closes its end of the pipe, which wakes whoever waits for it. One that is silent for too long
(`tasks.work.beats`), or whose job does not move, is killed, and so there is one way for a worker to be lost.
"""

from __future__ import annotations

import multiprocessing
import signal
import threading
import uuid
from collections import deque
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nst.errors import Stopped, WorkerLost
from tasks.work import beats
from tasks.work.serve import serve
from tasks.work.spawning import without_main

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from tasks.jobs import Job, TrainingJob
    from tasks.root import Root

    AnyJob = TypeVar("AnyJob", Job, TrainingJob, Job | TrainingJob)

_OPEN_JOBS: Final = 2
"""Jobs that a worker may have at one time: one that it computes, and one that it writes."""


class Worker:
    """One worker process after the other on one device. One thread at a time uses it; `stop` may come from any.

    Args:
        root: The root that it writes to.
        device: "cpu", "mps", "cuda:<id>".
        threads: Threads of its computations.

    Attributes:
        fault: Why the device failed its self-test last; "" if it passed.
    """

    def __init__(self, root: Root, device: str, threads: int) -> None:
        self.device = device
        self.arguments = (root, device, threads)
        self.process: BaseProcess | None = None
        self.connection: Connection | None = None
        self.stopping = False
        self.fault = ""
        self._is_ready = False
        self._verdict = ""  # why the process was killed, or ended by itself
        self._heard = 0  # messages of all processes
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
            self._is_ready, self._verdict, self.fault = False, "", ""
            self.connection, child_end = context.Pipe()
            arguments = (child_end, *self.arguments, beats.INTERVAL_S)
            self.process = context.Process(target=serve, args=arguments, name=label, daemon=True)
            # Control-C reaches the whole process group: the child is born deaf to it, not only after its first imports.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                with without_main():
                    self.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            child_end.close()
            watching = (self.process, self.connection)
        threading.Thread(target=self._watch, args=watching, daemon=True, name="worker-watch").start()

    def prepare(self) -> bool:
        """Have a process whose device has passed its self-test; return whether it has, and why not in `fault`.

        Raises:
            Stopped: The pool was closed.
        """
        if self._is_ready and self.process is not None and self.process.is_alive():
            return True
        try:
            if self.process is None or self._verdict or not self.process.is_alive():
                self.start()
            while not self._is_ready:
                kind, _, _ = self._receive()
                self._is_ready = kind == "ready"
        except (EOFError, ConnectionError):
            self._refuse_if_stopping()
            how = self._how_it_ended()
            self.fault = self.fault or f"its worker {how} before it could do anything"
        except OSError as error:
            self.fault = f"no process can be started: {error}"
        return self._is_ready

    def run(self, jobs: Sequence[AnyJob], told: Callable[[str, str, Any], None]) -> list[tuple[AnyJob, Any]]:
        """Run jobs as `DevicePool.run_in_turn` does, on a process that is ready.

        Where the device failed its self-test in between, `fault` says so, and the open jobs have `WorkerLost`.

        Args:
            jobs: The jobs.
            told: Called with (kind, key of the job, value) of what concerns more than the order of jobs.
        """
        self._refuse_if_stopping()
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
                kind, key, value = self._receive()
                if kind in {"step", "preview"}:
                    told(kind, key, value)
                elif kind == "computed":
                    free = True
                elif kind in {"error", "done"}:
                    ended.append((open_.pop(key), value))
                    if kind == "error":
                        waiting.clear()
                    else:
                        told(kind, key, value)
        except (EOFError, ConnectionError):
            self._refuse_if_stopping()
            lost = WorkerLost(f"the worker of {self.device} {self._how_it_ended()}")
            lost.workplace = {"worker": self.process.name if self.process else None, "device": self.device}
            ended += [(job, lost) for job in open_.values()]
        return ended

    def _receive(self) -> tuple[str, str, Any]:
        """Wait for what the process tells next.

        Raises:
            EOFError: It has ended, or is about to, since its device fails.
        """
        assert self.connection is not None
        message: tuple[str, str, Any] = self.connection.recv()
        self._heard += 1
        kind, _, value = message
        if kind == "failing":
            self._is_ready, self.fault = False, value
            self._verdict = f"ended, since its device failed its self-test ({value})"
            raise EOFError
        if kind == "beat" and value >= beats.STUCK_S:
            self._kill(self.process, f"made no step for {beats.STUCK_S / 60:g} min and was killed")
        return message

    def _watch(self, process: BaseProcess, connection: Connection) -> None:
        """Kill a process that says nothing for too long, which wakes whoever waits for it, or for room in its pipe.

        Only silence that this process has waited through counts, and only while nothing of what was said waits to be
        read: a machine that was asleep, or a parent that was stopped or is busy, is no fault of the worker.
        """
        silent, heard = 0.0, -1
        while not wait([process.sentinel], beats.INTERVAL_S):
            is_silent = heard == self._heard and not connection.poll()
            silent, heard = silent + beats.INTERVAL_S if is_silent else 0.0, self._heard
            if silent >= beats.SILENT_S:
                self._kill(process, f"said nothing for {beats.SILENT_S:g} s and was killed")
                return

    def _kill(self, process: BaseProcess | None, why: str) -> None:
        """Kill the process, also one that is stopped."""
        with self._changing:
            if process is not None and process is self.process:
                self._verdict = self._verdict or why
                process.kill()

    def _refuse_if_stopping(self) -> None:
        if self.stopping:
            raise Stopped(f"the worker of {self.device} was stopped")

    def _how_it_ended(self) -> str:
        assert self.process is not None
        self.process.join(timeout=5)
        if self.process.is_alive():  # it hangs on its way out, and would hold the device
            self.process.kill()
            self.process.join(timeout=5)
        if self._verdict:
            return self._verdict
        code = self.process.exitcode
        if code is not None and code < 0:
            hint = ", perhaps by lack of memory" if -code == signal.SIGKILL else ""
            return f"died by {signal.Signals(-code).name}{hint}"
        return f"died with exit code {code}"

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
