"""Which devices the workers of this machine use, and how many threads they may have."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nst.errors import UserError
from tasks.devices import find_devices

if TYPE_CHECKING:
    from collections.abc import Iterable


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
