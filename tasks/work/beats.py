"""Signs of life of a worker process: a thread of it tells its owner every 15 s that it lives, and whether it works.

A process that is stopped, or hangs where Python cannot run, says nothing. One whose job waits for ever, for a driver or
a disk of the network, goes on beating and says for how long the job has not moved.

Time is counted in beats, never read from a clock: a process that was stopped and continued, or a machine that was
asleep, has missed beats together with everybody else and has not been idle for hours.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

INTERVAL_S = 15.0
"""Seconds between two beats."""

SILENT_S = 120.0
"""Seconds without a word after which a worker is taken for dead."""

STUCK_S = 1800.0
"""Seconds after which a job that has not moved is taken to hang."""


class _Work:
    """What the jobs of this process do: how many are open, and how often one of them has moved."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.open = 0
        self.moves = 0


_WORK: Final = _Work()


def begun() -> None:
    """Note that a job has begun; the start of the process is one, too."""
    with _WORK.lock:
        _WORK.open += 1
        _WORK.moves += 1


def moved() -> None:
    """Note that the work of this process goes on: a step, a photograph read, a frame compared. Costs next to nothing.

    Whatever may take more than half an hour calls this in between.
    """
    _WORK.moves += 1  # another thread's may be lost, and this one counts as well


def ended() -> None:
    """Note that a job has ended."""
    with _WORK.lock:
        _WORK.open -= 1
        _WORK.moves += 1


def start_beating(tell: Callable[[float], object], interval_s: float) -> None:
    """Tell the owner of this process for how long its jobs have not moved, again and again until the process ends.

    Args:
        tell: Called with seconds; 0 while there is no job.
        interval_s: Seconds between two beats.
    """

    def beat() -> None:
        still, moves = 0, -1
        never = threading.Event()
        while True:
            still = still + 1 if _WORK.open and moves == _WORK.moves else 0
            moves = _WORK.moves
            tell(still * interval_s)
            never.wait(interval_s)

    threading.Thread(target=beat, daemon=True, name="beat").start()
