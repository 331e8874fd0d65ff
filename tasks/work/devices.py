"""Which devices this machine has, found without importing torch, and how many threads their workers may have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from nst.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable


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


def choose_devices(names: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the devices that a user names, or `NST_DEVICES`, looked for on this machine; all that it has otherwise.

    Raises:
        UserError: The machine has no device of one of these names.
    """
    found = find_devices()
    named = [name for name in map(str.strip, names) if name]
    named = named or [name for name in map(str.strip, os.environ.get("NST_DEVICES", "").split(",")) if name]
    chosen = tuple(named) or tuple(found)
    for name in chosen:
        if name not in found and not _has(name):
            raise UserError(
                f"this machine has no device {name!r}, expected cpu, mps or cuda:<number>",
                hint=f"found: {', '.join(found)}; `nst doctor` looks at each",
            )
    return chosen


def workers_on(names: Iterable[str] = (), number: int | None = None) -> tuple[str, ...]:
    """Return the device of each of several workers on this machine.

    Args:
        names: Devices, as for `choose_devices`.
        number: Number of workers; by default one for each device.

    Raises:
        UserError: There is no such device, or there are fewer accelerators than workers.
    """
    devices = choose_devices(names)
    if number is None or number == len(devices):
        return devices
    if devices == ("cpu",):
        return ("cpu",) * number
    if number > len(devices):
        raise UserError(
            f"{number} workers are wanted and there are {len(devices)} devices: {', '.join(devices)}",
            hint="one worker uses one device; several share the CPU alone: --devices cpu",
        )
    return devices[:number]


def _has(name: str) -> bool:
    """Return whether torch finds a device; asked only for devices that were not found without it."""
    if name == "cpu":
        return True
    kind, _, number = name.partition(":")
    if kind not in {"cuda", "mps"}:
        return False
    import torch

    if kind == "mps":
        return not number and torch.backends.mps.is_available()
    return (int(number) if number.isdecimal() else 0) < torch.cuda.device_count() and (not number or number.isdecimal())


def usable_cores() -> int:
    """Return how many threads all workers may have together: the machine's cores, or fewer by OMP_NUM_THREADS.

    Who shares the machine with others sets that variable, since threads that wait for a busy core burn processor time:
    on two busy cores, a step of a training took over three times the processor time with two threads as with one.
    """
    wanted, cores = os.environ.get("OMP_NUM_THREADS", ""), os.cpu_count() or 1
    return min(cores, int(wanted) or cores) if wanted.isdecimal() else cores


def pin(device: str) -> str:
    """Bind this process to one device, before it imports torch, and return the device's name inside of it.

    Threads that wait for each other sleep (`OMP_WAIT_POLICY`). By default they spin, so that any other work on the same
    cores makes a step many times as slow: at 64 px 574 ms in place of 25 ms beside one busy process on two cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if not device.startswith("cuda:"):
        return device
    os.environ["CUDA_VISIBLE_DEVICES"] = device.removeprefix("cuda:")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # a resumed sweep gives the same bits
    return "cuda"
