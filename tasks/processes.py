"""Which process something was, so that it is never mistaken for another one that has its number later."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_LONGEST_NAME: Final = 200
"""Characters of a user's name; the rest is left out."""


@dataclass(frozen=True, slots=True)
class Process:
    """Which process it was, so that others on the same machine can tell whether it still is.

    Attributes:
        machine: Host name, id of the boot and namespace of process numbers; "" where the system does not say.
        pid: Its number.
        started: When it started, in the system's own unit since the boot.
    """

    machine: str = ""
    pid: int = 0
    started: str = ""

    @property
    def is_gone(self) -> bool:
        """Whether it ran on this machine since its last boot, and has ended."""
        return bool(self.machine) and self.machine == _machine() and _started(self.pid) != self.started


def this_process() -> Process:
    """Return the process that asks."""
    return process_of(os.getpid())


def process_of(pid: int) -> Process:
    """Return the process of this machine that has a number now."""
    return Process(_machine(), pid, _started(pid))


@cache
def _machine() -> str:
    """Return a text that two processes share only if they can see each other; "" where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(pid: int) -> str:
    """Return when a process started, as /proc says it; "" if there is none of this number, or only its remains."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] in {"Z", "X"} else words[19]


def named_user() -> str | None:
    """Return the name that whoever runs this process has given for the accounts (`NST_USER`), None without one."""
    # Bytes that are no text would be refused by the catalog, at the end of a run.
    return os.fsencode(os.environ.get("NST_USER", "")).decode("utf-8", "replace").strip()[:_LONGEST_NAME] or None
