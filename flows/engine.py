"""Engines: where the effects of a run are carried out. The order of steps is written once and works with any engine.

An engine offers threads that carry effects out under their policies, and two ways to report how far the run is. Threads
suffice because the heavy work is done by device processes, which the threads only feed. Knows nothing of Prefect: that
engine is `flows.prefect_engine`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar

from flows.stop import GRACE_S
from nst.errors import Stopped
from tasks.effect import attempt, policy_of

if TYPE_CHECKING:
    from types import TracebackType

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

Watcher = Callable[[int, int, str], None]
"""Called with (done, total, text): the progress bar of the command line."""

_watcher: ContextVar[Watcher | None] = ContextVar("nst_watcher", default=None)
_POLL_S = 0.2


class Engine(Protocol):
    """Carries effects out, several at a time, and shows how far the run is. Used as a context manager."""

    stopping: threading.Event
    """Set when the run should end: nothing more is submitted."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Cancel the effects that have not begun and wait for those that have; after a stop for `GRACE_S` at most."""

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Carry the effect `fn` out under its policy, in a thread."""

    def progress(self, done: int, total: int, text: str) -> None:
        """Report how many cells or models are done; cheap, may be called at any rate from one thread."""

    def show(self, rows: Sequence[Mapping[str, object]], contact_sheet_jpeg: bytes | None) -> None:
        """Show a summary table and a contact sheet, if the engine has a page for them."""


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Report the progress of engines that are used inside this context to `watcher` as well."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def notify_watcher(done: int, total: int, text: str) -> None:
    """Call the watcher of this context, if there is one."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(done, total, text)


class EffectThreads:
    """A bounded number of threads; they can be left behind when they do not end.

    Args:
        number: Threads, and so effects that run at one time.
    """

    def __init__(self, number: int) -> None:
        self._threads = ThreadPoolExecutor(number, thread_name_prefix="effect")
        self._unfinished: set[Future[Any]] = set()

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Call `fn` in a thread."""
        future = self._threads.submit(fn, *args, **kwargs)
        self._unfinished.add(future)
        future.add_done_callback(self._unfinished.discard)
        return future

    def end(self, within_s: float | None) -> None:
        """Cancel the calls that have not begun and wait for those that have, at most this many seconds."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(tuple(self._unfinished), timeout=within_s)


class InlineEngine:
    """Threads of this process and nothing else: no server, no records of task runs, no import of Prefect.

    Args:
        max_workers: Number of threads, and so of effects that run at one time.
        stopping: Set by whoever stops the run; by default nobody but the engine.
    """

    def __init__(self, max_workers: int = 1, stopping: threading.Event | None = None) -> None:
        self.stopping = stopping or threading.Event()
        self._threads = EffectThreads(max_workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        stopped = self.stopping.is_set()
        if error is not None:
            self.stopping.set()  # wakes the pauses before retries
        self._threads.end(GRACE_S if stopped else None)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Carry `fn` out under its policy, in a thread."""
        return self._threads.submit(attempt, lambda: fn(*args, **kwargs), policy_of(fn), self._pause)

    def progress(self, done: int, total: int, text: str) -> None:
        """Notify the watcher."""
        notify_watcher(done, total, text)

    def show(self, rows: Sequence[Mapping[str, object]], contact_sheet_jpeg: bytes | None) -> None:
        """Show nothing: an inline run has no page; its gallery and catalog are below the root."""

    def _pause(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Stopped("stopped while waiting to try again")


def completed(
    engine: Engine, fn: Callable[[T], R], items: Iterable[T | None], window: int | Callable[[], int]
) -> Iterator[tuple[T, Future[R]]]:
    """Yield every item with its finished future, in the order in which they finish.

    An item is taken from `items` only when fewer than `window` submissions are unfinished, so that a plan of a million
    cells never becomes a million futures. When the consumer closes the iterator, is interrupted or fails, nothing more
    is taken and effects that have not begun are cancelled; those that have begun go on until the engine is left.

    Args:
        engine: Carries the effects out.
        fn: The effect, called with one item.
        items: Read lazily, in the consumer's thread. None means that there is no item at the moment: it is asked for
            again a little later.
        window: Unfinished submissions at one time, at least 1; one that may change is asked for before each.

    Raises:
        Stopped: `engine.stopping` was set.
    """
    most = window if callable(window) else lambda: window
    assert most() >= 1
    source = iter(items)
    pending: dict[Future[R], T] = {}
    finished: list[tuple[T, Future[R]]] = []
    has_more = True
    try:
        while True:
            while has_more and len(pending) < most() and not engine.stopping.is_set():
                try:
                    item = next(source)
                except StopIteration:
                    has_more = False
                    break
                if item is None:
                    break
                pending[engine.submit(fn, item)] = item
            # Free slots are filled before the consumer handles the finished items, so that devices never wait for it.
            yield from finished
            if engine.stopping.is_set():
                raise Stopped("the run was stopped")
            if not pending and not has_more:
                return
            if not pending:
                engine.stopping.wait(_POLL_S)
            done, _ = wait(pending, timeout=_POLL_S, return_when=FIRST_COMPLETED)
            finished = [(pending.pop(future), future) for future in done]
    finally:
        for future in pending:
            future.cancel()
