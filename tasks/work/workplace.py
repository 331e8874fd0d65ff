"""The workplace of a batch or a training, for its row in the catalog: device, versions, memory."""

from __future__ import annotations

import contextlib
import ctypes
import multiprocessing
import os
import platform
import resource
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from tasks.memory import available_memory

_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_MMAP_MAX: Final = -4
_M_ARENA_MAX: Final = -8
"""Parameters of glibc's mallopt(3)."""


def keep_freed_memory() -> None:
    """Keep the memory of freed tensors in this process for the next tensors, where the C library is glibc.

    By default glibc returns large blocks to the system at once, and the kernel clears every page again at the next
    step. Measured on two cores with VGG-19 to relu4_1: 12 to 19 % less time a step at 512 px, 7 % at 128 px in batches
    of 4; peak memory rises by a tenth.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # never


def return_freed_memory() -> None:
    """Give the memory of freed tensors back to the system from now on, where the C library is glibc.

    Memory that a process keeps (`keep_freed_memory`) serves only requests that fit into a gap of it, and nobody else:
    not oneDNN, which asks the system for the code that it generates. Where memory was short once, time matters less.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 65_536)
        libc.mallopt(_M_MMAP_THRESHOLD, 128 * 1024)
        libc.mallopt(_M_TRIM_THRESHOLD, 128 * 1024)
        libc.mallopt(_M_ARENA_MAX, 1)  # a request that fails would reserve another arena of 64 MiB
        libc.malloc_trim(0)


def workplace(device: str) -> dict[str, Any]:
    """Return the columns about this worker, its device and the versions of its software."""
    return {"worker": multiprocessing.current_process().name, **versions(device)}


def versions(device: str) -> dict[str, Any]:
    """Return the columns about the device and the versions of the software."""
    import torch  # the flow's process, which asks for `software` alone, never loads it

    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor_name()
    return {"device": device, "device_name": name, **software(), "torch_version": str(torch.__version__)}


def software() -> dict[str, Any]:
    """Return the columns about the versions of the software, as the packages on disk state them."""
    return {
        "nst_version": version("nst-batch"),
        "torch_version": version("torch"),
        "python_version": platform.python_version(),
    }


def processor_name() -> str:
    """Return the model name of the processor, or else its architecture."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def memory_of(device: str) -> float:
    """Return the memory in bytes of a GPU, or what is available of the machine's, or container's, at this moment."""
    if device.startswith("cuda"):
        import torch

        return float(torch.cuda.get_device_properties(0).total_memory)
    return available_memory()


def memory_held(device: str) -> float:
    """Return the memory in bytes that this process has already, free tensors among it; 0 on a GPU and if unknown."""
    if device.startswith("cuda"):
        return 0.0
    try:
        return float(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:  # not Linux
        return 0.0


def reset_peak_memory(device: str) -> None:
    """Begin a new measurement of peak memory; has no effect on a CPU."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> int:
    """Return the peak memory in bytes: since `reset_peak_memory` on a GPU, of the whole process on a CPU."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated())
    scale = 1 if platform.system() == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
