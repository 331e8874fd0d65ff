"""Seconds of repeated steps on a device, and the largest memory meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.benchmarks.cases import WARM_UP
from tasks.work.workplace import peak_memory, reset_peak_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

_CLEAR_REFS: Final = Path("/proc/self/clear_refs")
_STATUS: Final = Path("/proc/self/status")
_PEAK: Final = "5"
"""What proc(5) resets the largest resident memory of a process by."""


class Clock:
    """The times at which steps end. On a GPU they are events of its own queue: nothing waits for them in between.

    Args:
        device: `cpu`, `cuda` or `mps`, in a process that is bound to one device.
    """

    def __init__(self, device: str) -> None:
        self._kind = device
        self._marks: list[float] = []
        self._processor: list[float] = []
        self._events: list[torch.cuda.Event] = []

    def mark(self, *_: object) -> None:
        """Note that a step ends here; any arguments are those of whoever reports steps."""
        import torch

        if self._kind == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]  # torch gives it no types
            event.record()
            self._events.append(event)
            return
        if self._kind == "mps":
            torch.mps.synchronize()
        self._marks.append(time.perf_counter())
        self._processor.append(time.process_time())

    def seconds(self) -> list[float]:
        """Return the seconds of each step after those of the warm-up."""
        if self._kind != "cuda":
            return _between(self._marks)
        import torch

        torch.cuda.synchronize()
        pairs = itertools.pairwise(self._events[WARM_UP - 1 :])
        return [before.elapsed_time(after) / 1000 for before, after in pairs]

    def processor_seconds(self) -> list[float] | None:
        """Return the time of the processor of each of these steps, all threads together; None on another device."""
        return _between(self._processor) if self._kind == "cpu" else None


def _between(marks: Sequence[float]) -> list[float]:
    return [after - before for before, after in itertools.pairwise(marks[WARM_UP - 1 :])]


def can_reset_peak(device: str) -> bool:
    """Return whether the largest memory can be measured again and again by one process."""
    return device.startswith("cuda") or os.access(_CLEAR_REFS, os.W_OK)


def reset_peak(device: str) -> None:
    """Begin a new measurement of the largest memory, and give back what the one before left."""
    gc.collect()
    reset_peak_memory(device)
    if device == "cpu":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
            _CLEAR_REFS.write_text(_PEAK)


def peak(device: str) -> int:
    """Return the largest memory in bytes since `reset_peak`; of the process's whole life where that is all there is."""
    with contextlib.suppress(OSError):
        if device == "cpu" and (found := re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)):
            return int(found[1]) * 1024
    return peak_memory(device)
