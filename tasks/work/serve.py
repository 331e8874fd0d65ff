"""The main function of a worker process: runs jobs until the process that started it is gone.

The owner may be killed at any moment, also in the middle of a batch. Telling it something therefore never fails, since
an error would be recorded as a failure of the cells that are being computed. An orphan commits its batch or leaves
without a word.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from tasks.work.c_libraries import quiet_c_libraries

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

    from tasks.jobs import Job, TrainingJob
    from tasks.root import Root

_PROGRESS_INTERVAL_S: Final = 0.5


def serve(connection: Connection, root: Root, device: str, threads: int) -> None:
    """Run jobs until the parent closes the pipe or dies: the main function of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Control-C is the parent's to handle
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
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
                _tell(connection, "done", train(job, root.catalog, device, report))
            else:
                _tell(connection, "done", stylist.run(job, report))
        except Exception as error:  # noqa: BLE001  the parent decides what it means
            _tell(connection, "error", _picklable(error))


def _tell(connection: Connection, kind: str, value: object) -> None:
    """Send something to the owner, if it is still there."""
    with contextlib.suppress(OSError):
        connection.send((kind, value))


def _reporter(connection: Connection, key: str) -> Callable[[int, int], None]:
    last = 0.0

    def report(step: int, steps: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_INTERVAL_S or step == steps:
            last = now
            _tell(connection, "step", (key, step, steps))

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
