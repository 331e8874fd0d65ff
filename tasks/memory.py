"""How much memory this machine has to give at this moment, found without importing torch."""

from __future__ import annotations

import math
import os
from pathlib import Path


def available_memory() -> float:
    """Return the bytes that the machine, or its container, has for new processes."""
    return min(_available_to_machine(), available_to_container())


def available_to_container(folder: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the bytes that the limit of this container leaves, infinite without one or where it cannot be read.

    Args:
        folder: Of the control group (version 2).
    """
    try:
        most = int((folder / "memory.max").read_text())  # "max" where there is no limit
        used = int((folder / "memory.current").read_text())
        counted = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return math.inf
    return float(max(0, most - used + int(counted.get("inactive_file", 0))))  # files that were read give way


def _available_to_machine() -> float:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except OSError:
        pass  # not Linux
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
