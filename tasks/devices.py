"""Which devices this machine has and what they are able to do, found without importing torch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nst.config.fields import Precision


def find_devices() -> list[str]:
    """Return this machine's devices, best first, without importing torch: every GPU, or else the CPU."""
    visible = _visible()
    if visible is not None:
        return [f"cuda:{part}" for part in visible] or ["cpu"]
    if _gpus():
        return [f"cuda:{index}" for index in range(len(_gpus()))]
    return ["mps"] if sys.platform == "darwin" and os.uname().machine == "arm64" else ["cpu"]


def _visible() -> list[str] | None:
    """Return the GPUs that the environment shows, by number or UUID; None if it does not restrict them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return None
    return [part.strip() for part in visible.split(",") if part.strip() not in {"", "-1"}]


@cache
def _gpus() -> tuple[str, ...]:
    """Return the UUIDs of the GPUs that the driver lists, "" for each whose UUID it does not tell."""
    if not shutil.which("nvidia-smi"):
        return ()
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)  # noqa: S607
    lines = [line for line in listing.stdout.splitlines() if line.startswith("GPU ")]
    return tuple(found[1] if (found := re.search(r"UUID: (GPU-[\w-]+)", line)) else "" for line in lines)


def fastest_precision(device: str = "") -> Precision:
    """Return the fastest arithmetic that the devices of this machine have instructions for, without importing torch.

    This is `bfloat16` on a GPU of NVIDIA's Ampere or later (compute capability 8.0) and on an x86 processor with
    AVX512-BF16 or AMX, where a step takes two thirds of the time of `float32`; anywhere else it is `float32`. Of
    several devices the least able one counts.

    Args:
        device: The device that computes, as users name it; "" for those of the machine that are used by default.
    """
    if (device or find_devices()[0]).startswith("cuda"):
        return "bfloat16" if min(_capabilities(), default=0.0) >= 8.0 else "float32"
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return "float32"
    flags = set(next(iter(re.findall(r"^flags\s*:(.*)$", told, re.MULTILINE)), "").split())
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"


def _capabilities() -> list[float]:
    """Return the compute capabilities of the GPUs that the driver lists; 0 for one that it does not tell."""
    if not shutil.which("nvidia-smi"):
        return []
    asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.splitlines()  # noqa: S603
    return [float(line) if re.fullmatch(r"\d+\.\d+", line.strip()) else 0.0 for line in told if line.strip()]


def name_on_machine(device: str) -> str:
    """Return the name of an accelerator for all processes of this machine: of a GPU its UUID, where it is known.

    Args:
        device: As users name it; "" is returned for the CPU.
    """
    kind, _, part = device.partition(":")
    if kind != "cuda":
        return "" if kind == "cpu" else kind
    part = part or next(iter(_visible() or ()), "0")
    known = _gpus()
    if part.isdecimal() and int(part) < len(known) and known[int(part)]:
        return known[int(part)]
    return re.sub(r"[^\w-]", "-", part if part.startswith(("GPU-", "MIG-")) else f"cuda-{part}")
