"""One long-lived worker process per device, spawned, pinned before torch is imported, its backbone kept warm.

A worker that dies (killed, lost GPU, crashed decoder) costs its job one attempt, and another worker takes its place.
What it means when a job kills one worker after the other is decided by `fanout`. Knows nothing of Prefect.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Self, overload

from nst.errors import UserError, WorkerLost
from tasks.work.c_libraries import quiet_c_libraries

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from tasks.jobs import BatchOutcome, Job, TrainingJob, TrainingOutcome
    from tasks.root import Root

OnStep = Callable[[str, int, int], None]
"""Called with (id of batch or model, step, all steps) at most twice a second per device."""

CRASHES_BEFORE_QUARANTINE: Final = 3
"""Workers that a job may kill before it is given up."""

_PROGRESS_INTERVAL_S: Final = 0.5


def find_devices() -> list[str]:
    """Return this machine's devices, best first, without importing torch: every GPU, or else the CPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [part.strip() for part in visible.split(",") if part.strip() not in {"", "-1"}]
        return [f"cuda:{part}" for part in ids] or ["cpu"]
    if shutil.which("nvidia-smi"):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)  # noqa: S607
        count = sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
        if count:
            return [f"cuda:{index}" for index in range(count)]
    return ["mps"] if sys.platform == "darwin" and os.uname().machine == "arm64" else ["cpu"]


class DevicePool:
    """Runs jobs on device workers; `run` may be called from as many threads as there are devices.

    Args:
        root: The root that the workers write to.
        devices: "cpu", "mps", "cuda:<id>"; one worker each. Naming a device twice gives it two workers.
        on_step: Progress of a job, called from the thread that waits for it.

    Raises:
        UserError: No device is named.
    """

    def __init__(self, root: Root, devices: Sequence[str], on_step: OnStep | None = None) -> None:
        if not devices:
            raise UserError("no device to run on", hint="--devices cpu")
        self._on_step = on_step
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        threads = max(1, usable_cores() // max(1, sum(device == "cpu" for device in devices)))
        self._workers = [_Worker(root, device, threads) for device in devices]
        for worker in self._workers:
            worker.start()
            self._idle.put(worker)
        self.devices = tuple(devices)
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
            TransientError, Exception: Whatever the job raised in the worker.
        """
        worker = self._idle.get()
        try:
            for crash in range(1, crashes + 1):
                try:
                    return worker.run(job, self._on_step)
                except WorkerLost:
                    if crash == crashes or worker.stopping:
                        raise
            raise AssertionError
        finally:
            self._idle.put(worker)

    def pids(self) -> list[int]:
        """Return the process ids of the living workers."""
        processes = [worker.process for worker in self._workers]
        return [process.pid for process in processes if process and process.pid and process.is_alive()]

    def close(self) -> None:
        """Stop all workers, also in the middle of a batch: what is not committed is done again by the next run."""
        self.closed = True
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

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, child_end = context.Pipe()
        label = f"{self.device}-{uuid.uuid4().hex[:6]}"  # what the column `worker` holds
        self.process = context.Process(target=serve, args=(child_end, *self.arguments), name=label, daemon=True)
        self.process.start()
        child_end.close()

    def run(self, job: Job | TrainingJob, on_step: OnStep | None) -> BatchOutcome | TrainingOutcome:
        if self.stopping:
            raise WorkerLost(f"the worker of {self.device} is stopped")
        if self.process is None or not self.process.is_alive():
            self.start()
        assert self.connection is not None
        try:
            self.connection.send(job)
            while True:
                kind, value = self.connection.recv()
                if kind == "step":
                    if on_step:
                        on_step(*value)
                elif kind == "error":
                    raise value
                else:
                    outcome: BatchOutcome | TrainingOutcome = value
                    return outcome
        except (EOFError, ConnectionError) as error:
            lost = WorkerLost(f"the worker of {self.device} died {self._cause_of_death()}")
            lost.workplace = {"worker": self.process.name if self.process else None, "device": self.device}
            raise lost from error

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
        self.stopping = True
        process = self.process
        if process is not None and process.is_alive():
            process.terminate()
            process.join(timeout=2)
            if process.is_alive():
                process.kill()
                process.join(timeout=2)


def usable_cores() -> int:
    """Return how many threads all workers may have together: the machine's cores, or fewer by OMP_NUM_THREADS.

    Who shares the machine with others sets that variable, since threads that wait for a busy core burn processor time:
    on two busy cores, a step of a training took over three times the processor time with two threads as with one.
    """
    wanted, cores = os.environ.get("OMP_NUM_THREADS", ""), os.cpu_count() or 1
    return min(cores, int(wanted) or cores) if wanted.isdecimal() else cores


def serve(connection: Connection, root: Root, device: str, threads: int) -> None:
    """Run jobs until the parent closes the pipe or dies: the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    quiet_c_libraries()
    _exit_with_parent()
    if device.startswith("cuda:"):
        os.environ["CUDA_VISIBLE_DEVICES"] = device.removeprefix("cuda:")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a resumed sweep gives the same bits
        device = "cuda"
    import torch

    from tasks.jobs import TrainingJob
    from tasks.work.stylize import Stylist
    from tasks.work.workplace import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    stylist = Stylist(root, device)
    while True:
        try:
            job: Job | TrainingJob = connection.recv()
        except (EOFError, OSError):
            return
        try:
            report = _reporter(connection, job.key)
            if isinstance(job, TrainingJob):
                from tasks.work.training import train

                stylist.workspace.forget()  # the training wants the device for itself
                connection.send(("done", train(job, root.catalog, device, report)))
            else:
                connection.send(("done", stylist.run(job, report)))
        except Exception as error:  # noqa: BLE001  the parent decides what it means
            connection.send(("error", _picklable(error)))


def _reporter(connection: Connection, key: str) -> Callable[[int, int], None]:
    last = 0.0

    def report(step: int, steps: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL_S or step == steps:
            last = now
            connection.send(("step", (key, step, steps)))

    return report


def _picklable(error: Exception) -> Exception:
    """Return the error, or its text if it cannot be pickled."""
    import pickle

    try:
        restored: Any = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    except Exception:  # noqa: BLE001  whatever pickling raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if isinstance(restored, type(error)) else RuntimeError(str(error))


def _exit_with_parent() -> None:
    """Leave when the parent is gone, also in the middle of a batch: an orphan must not hold the device."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
