"""Which devices this machine has, found without importing torch, and how many threads their workers may have."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys


def find_devices() -> list[str]:
    """Return this machine's devices, best first, without importing torch: every GPU, or else the CPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        ids = [part.strip() for part in visible.split(",") if part.strip() not in {"", "-1"}]
        return [f"cuda:{part}" for part in ids] or ["cpu"]
    if shutil.which("nvidia-smi"):
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)  # noqa: S607
        count = sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
        if count:
            return [f"cuda:{index}" for index in range(count)]
    return ["mps"] if sys.platform == "darwin" and os.uname().machine == "arm64" else ["cpu"]


def usable_cores() -> int:
    """Return how many threads all workers may have together: the machine's cores, or fewer by OMP_NUM_THREADS.

    Who shares the machine with others sets that variable, since threads that wait for a busy core burn processor time:
    on two busy cores, a step of a training took over three times the processor time with two threads as with one.
    """
    wanted, cores = os.environ.get("OMP_NUM_THREADS", ""), os.cpu_count() or 1
    return min(cores, int(wanted) or cores) if wanted.isdecimal() else cores
