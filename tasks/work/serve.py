"""The main function of a worker process: runs jobs until the process that started it is gone.

The owner may be killed at any moment, also in the middle of a batch. Telling it something therefore never fails, since
an error would be recorded as a failure of the cells that are being computed. An orphan commits its batch or leaves
without a word.

While a thread writes the pictures of a batch and commits it, the next batch is computed. Each batch is acknowledged
after its commit: a worker that dies loses what it has not acknowledged, two batches at most, and nothing else.

What the owner is told is (kind, key of the job, value):

    ready     None: the device has passed its self-test; jobs may come
    failing   why the device does not pass it; the process ends, and what it was doing counts for nothing
    beat      for how many seconds its jobs have not moved (`tasks.work.beats`)
    step      (step, all steps)
    preview   the steps after which previews of cells were stored, by their ids
    computed  None: the next batch may come
    done      the outcome: everything is committed
    error     what the job raised
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NoReturn

from nst.errors import DeviceError
from tasks.work import beats
from tasks.work.c_libraries import quiet_c_libraries
from tasks.work.devices import pin

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from tasks.jobs import Job, TrainingJob
    from tasks.root import Root
    from tasks.work.stylize import Stylist

_PROGRESS_INTERVAL_S: Final = 0.5


_FAILED: Final = 1


def serve(connection: Connection, root: Root, device: str, threads: int, beat_s: float) -> None:
    """Run jobs until the parent closes the pipe or dies: the main function of a worker process.

    Args:
        connection: The worker's end of the pipe.
        root: The root that it writes to.
        device: As users name it.
        threads: Threads of its computations.
        beat_s: Seconds between two signs of life.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    quiet_c_libraries()
    _exit_with_parent()
    device = pin(device)
    owner = _Owner(connection, device)
    beats.begun()
    beats.start_beating(partial(owner.tell, "beat", ""), beat_s)  # before torch, whose import may take a minute
    try:
        stylist = _start(root, device, threads)
    except DeviceError as error:
        owner.leave(error)
    except Exception as error:
        owner.tell("failing", "", f"{type(error).__name__}: {error}")
        raise  # with its trace
    beats.ended()
    owner.tell("ready", "", None)
    _work(owner, connection, stylist)


def _start(root: Root, device: str, threads: int) -> Stylist:
    """Load what jobs need, and test the device.

    Raises:
        DeviceError: It fails.
    """
    import torch

    from tasks.work.self_test import device_fault
    from tasks.work.stylize import Stylist
    from tasks.work.workplace import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(threads)
    torch.backends.cudnn.deterministic = True
    stylist = Stylist(root, device)
    if fault := device_fault(device):
        raise DeviceError(fault)
    return stylist


def _work(owner: _Owner, connection: Connection, stylist: Stylist) -> None:
    """Run jobs as they come."""
    from tasks.jobs import TrainingJob

    writer = ThreadPoolExecutor(1, "writer")  # a single thread: batches are committed in the order of their jobs
    while True:
        try:
            job: Job | TrainingJob = connection.recv()
        except (EOFError, OSError):
            return
        beats.begun()
        report = _reporter(owner, job.key)
        if isinstance(job, TrainingJob):
            from tasks.work.training import train

            stylist.workspace.forget()  # the training wants the device for itself
            owner.answer(job.key, partial(train, job, stylist.root.catalog, stylist.device, report))
            continue
        try:
            computed = stylist.compute(job, report, partial(owner.tell, "preview", job.key))
        except Exception as error:  # noqa: BLE001  the parent decides what it means
            writer.submit(owner.tell_error, job.key, error)  # after what the writer has still to commit
        else:
            owner.tell("computed", job.key, None)
            writer.submit(owner.answer, job.key, partial(stylist.commit, computed))


class _Owner:
    """The process that this worker belongs to; several threads may tell it something.

    Args:
        connection: Leads to it.
        device: The device of this worker, as torch names it here.
    """

    def __init__(self, connection: Connection, device: str) -> None:
        self._connection, self._device = connection, device
        self._lock = threading.Lock()

    def tell(self, kind: str, key: str, value: object) -> None:
        """Send something to the owner, if it is still there."""
        with self._lock, contextlib.suppress(OSError):
            self._connection.send((kind, key, value))

    def answer(self, key: str, work: Callable[[], object]) -> None:
        """Do the last part of a job, and tell the owner what came of it."""
        try:
            outcome = work()
        except Exception as error:  # noqa: BLE001  the parent decides what it means
            self.tell_error(key, error)
        else:
            self.tell("done", key, outcome)
            beats.ended()

    def tell_error(self, key: str, error: Exception) -> None:
        """Tell the owner what a job raised, or that the device is broken and nothing else is known."""
        from tasks.work.self_test import acquit

        try:
            acquit(self._device, [error])
        except DeviceError as fault:
            error = fault
        if isinstance(error, DeviceError):
            self.leave(error)
        self.tell("error", key, _picklable(error))
        beats.ended()

    def leave(self, fault: DeviceError) -> NoReturn:
        """End this process at once, since its device is broken: nothing that it would still do can be trusted."""
        self.tell("failing", "", str(fault))
        os._exit(_FAILED)


def _reporter(owner: _Owner, key: str) -> Callable[[int, int], None]:
    last = 0.0

    def report(step: int, steps: int) -> None:
        nonlocal last
        beats.moved()
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL_S or step == steps:
            last = now
            owner.tell("step", key, (step, steps))

    return report


def _picklable(error: Exception) -> Exception:
    """Return the error, or its text if it cannot be pickled."""
    try:
        restored: Any = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes
    except Exception:  # noqa: BLE001  whatever pickling raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error if isinstance(restored, type(error)) else RuntimeError(str(error))


def _exit_with_parent() -> None:
    """Leave when the owner is gone, also in the middle of a batch: an orphan must not hold the device."""
    owner = multiprocessing.parent_process()
    assert owner is not None

    def watch() -> None:
        owner.join()  # a pipe tells, also when the owner ended before this line
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()
