"""What a stop means, written once for every engine: Control-C, SIGTERM from a batch system, or a terminal that is gone.

A stop is no failure. The first signal sets an event. Whoever waits for something then raises `Stopped`: the window of
submissions, a pause before a retry, a job on a device worker whose pool is closed. No policy retries `Stopped`, no
record of a failure is made of it, and Prefect shows it as Cancelled. The order of steps publishes what is committed and
writes its page as at any other end.

All of that may take `GRACE_S`. The order runs in a thread that nobody has to wait for, so that a store that does not
answer or a download in progress holds a stop up for that long and no longer. A second signal does not wait at all.
"""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar

from nst.errors import Stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

R = TypeVar("R")

GRACE_S: Final = 10.0
"""Seconds that a stopped run may take to publish and to write its page."""

_POLL_S: Final = 0.2


@contextmanager
def stop_signals(stopping: threading.Event) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP set `stopping` inside this context; the second signal raises KeyboardInterrupt.

    A signal that the process ignores stays ignored, as with `nohup`. In any thread but the main one, nothing is
    changed: Python hands signals to the main thread alone.
    """
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def ask(number: int, _frame: Any) -> None:
        if number == signal.SIGHUP:  # nobody reads any more, and writing to a terminal that is gone is an error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for terminal in terminals:
                os.dup2(nowhere, terminal)
            os.close(nowhere)
        elif stopping.is_set():
            raise KeyboardInterrupt
        stopping.set()

    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def begin(steps: Callable[[], R]) -> Future[R]:
    """Run the steps of an order in a thread that does not hold up the end of the process; return their future."""
    running: Future[R] = Future()

    def work() -> None:
        try:
            running.set_result(steps())
        except BaseException as error:  # noqa: BLE001  whoever waits for the future gets it
            running.set_exception(error)

    threading.Thread(target=copy_context().run, args=(work,), daemon=True, name="order").start()
    return running


def outcome(running: Future[R], stopping: threading.Event) -> R:
    """Return what the steps return; from the moment at which `stopping` is set, they have `GRACE_S` left.

    Raises:
        Stopped: They were stopped, or they did not end in time.
        Exception: Whatever else the steps raised.
    """
    while not running.done() and not stopping.is_set():
        wait([running], timeout=_POLL_S)
    wait([running], timeout=GRACE_S)
    if not running.done():
        raise Stopped(f"the run did not publish within {GRACE_S:g} s", hint="the next run does it first")
    return running.result()
