"""The engine of a run whose Prefect server is still starting: it begins without one, and hands over to the flow's own.

A private server needs seconds of a processor before it answers. Devices need not wait for them: effects are carried out
by threads at once, and from the moment at which the flow run exists, by its engine. An effect that began before has a
task run too, which waits for its end.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from flows.engine import InlineEngine, notify_watcher
from nst.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from flows.engine import Engine

P = ParamSpec("P")
R = TypeVar("R")


class EarlyEngine:
    """Carries effects out in threads until another engine takes over.

    Args:
        max_workers: Number of threads, and so of effects that run at one time.
        stopping: Set by whoever stops the run.
    """

    def __init__(self, max_workers: int, stopping: threading.Event) -> None:
        self.stopping = stopping
        self._early = InlineEngine(max_workers, stopping)
        self._late: Engine | None = None
        self._begun: list[tuple[_Joined, tuple[Any, ...]]] = []
        self._shown: list[tuple[Sequence[Mapping[str, object]], bytes | None]] = []
        self._lock = threading.Lock()
        self.busy = threading.Event()
        """Set when the first effect is submitted: devices have work, and this process has time for other things."""

    def __enter__(self) -> Self:
        self._early.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._early.__exit__(kind, error, at)

    def hand_over(self, engine: Engine) -> None:
        """Let an engine that was entered carry out what comes from now on, and show what was done before."""
        with self._lock:
            self._late = engine
            for joined, args in self._begun:
                engine.submit(joined, *args)
            for rows, sheet in self._shown:
                engine.show(rows, sheet)
            self._begun, self._shown = [], []

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Carry `fn` out under its policy, in a thread or by the engine that took over."""
        self.busy.set()
        with self._lock:
            if self._late is not None:
                return self._late.submit(fn, *args, **kwargs)
            future = self._early.submit(fn, *args, **kwargs)
            self._begun.append((_Joined(fn, future), args))
            return future

    def progress(self, done: int, total: int, text: str) -> None:
        """Notify the watcher, and the page if there is one."""
        if self._late is not None:
            self._late.progress(done, total, text)
        else:
            notify_watcher(done, total, text)

    def show(self, rows: Sequence[Mapping[str, object]], contact_sheet_jpeg: bytes | None) -> None:
        """Show a summary table and a contact sheet on the page, as soon as there is one."""
        with self._lock:
            if self._late is not None:
                self._late.show(rows, contact_sheet_jpeg)
            else:
                self._shown.append((rows, contact_sheet_jpeg))


class _Joined:
    """Stands for an effect that has begun: called with the same arguments, it waits for the end. It is tried once."""

    def __init__(self, fn: Callable[..., Any], future: Future[Any]) -> None:
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self._future = future

    def __call__(self, *_: Any) -> Any:
        """Return what the effect returns, or raise what it raises; a call that was cancelled was stopped.

        Raises:
            Stopped: The effect was cancelled before it began.
        """
        try:
            return self._future.result()
        except CancelledError as cancelled:
            raise Stopped("the run was stopped") from cancelled
