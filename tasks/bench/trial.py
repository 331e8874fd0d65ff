"""A process that measures, bound to one device; where it dies, the next measurement has another one."""

from __future__ import annotations

import multiprocessing
import signal
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from nst.errors import NstError, Stopped
from tasks.bench.clock import can_reset_peak
from tasks.work.devices import pin, usable_cores
from tasks.work.spawning import without_main

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_POLL_S: Final = 0.2


@dataclass(frozen=True, slots=True)
class Failed:
    """A measurement that failed, and why."""

    why: str


class Trial:
    """A process for measurements on one device, as a context.

    Args:
        device: As users name it.
        stopping: Ends a measurement once it is set.
    """

    def __init__(self, device: str, stopping: threading.Event) -> None:
        self.device = device
        self._stopping = stopping
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def ask(self, name: str, *arguments: object) -> Any:
        """Return what a function of `tasks.bench.measuring` returns there, or `Failed`.

        Args:
            name: Name of the function.
            arguments: Its arguments before the last one, which is the device's name inside of the process.

        Raises:
            Stopped: Somebody stopped it; the process, which may still compute, goes with the context.
        """
        try:
            if self._process is None:
                self._start()
            assert self._connection is not None
            self._connection.send((name, arguments))
            while not self._connection.poll(_POLL_S):
                if self._stopping.is_set():
                    raise Stopped("a measurement was stopped")
            answer = self._connection.recv()
        except (EOFError, ConnectionError):
            return Failed(self._how_it_ended())
        finally:
            if not can_reset_peak(self.device):
                self._end()  # each measurement of memory has a process of its own then
        return answer

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, child_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(child_end, self.device), daemon=True)
        # Control-C reaches the whole process group: the child is born deaf to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with without_main():
                self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        child_end.close()

    def _how_it_ended(self) -> str:
        assert self._process is not None
        self._process.join(timeout=5)
        code = self._process.exitcode or 0
        self._end()
        if code < 0:
            hint = ", perhaps by lack of memory" if -code == signal.SIGKILL else ""
            return f"its process died by {signal.Signals(-code).name}{hint}"
        return f"its process ended with exit code {code}"

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._connection is not None:
            self._connection.close()
        self._process = self._connection = None


def _serve(connection: Connection, device: str) -> None:
    """Measure what is asked for, until nobody asks any more."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    device = pin(device)
    import torch

    from tasks.bench import measuring
    from tasks.work.workplace import keep_freed_memory

    keep_freed_memory()  # as workers do, and the next two lines
    torch.set_num_threads(usable_cores())
    torch.backends.cudnn.deterministic = True
    while True:
        try:
            name, arguments = connection.recv()
            connection.send(_answer(getattr(measuring, name), arguments, device))
        except (EOFError, OSError):
            return  # nobody asks any more


def _answer(job: Callable[..., object], arguments: tuple[object, ...], device: str) -> object:
    from tasks.work.halving import is_out_of_memory

    try:
        return job(*arguments, device)
    except NstError as error:
        return Failed(str(error))
    except Exception as error:  # noqa: BLE001  the other measurements go on
        if is_out_of_memory(error):
            return Failed(f"{device} has too little memory")
        traceback.print_exc()
        return Failed(f"{type(error).__name__}: {error}".splitlines()[0])
