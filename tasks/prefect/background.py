"""Processes that outlive the command that starts them: each in a session of its own, with a file for what it says."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tasks.prefect.standing import is_alive
from tasks.processes import Process, process_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STOP_GRACE_S: Final = 20.0
"""Seconds that a worker and its run have to publish what is done, before they are killed."""

_POLL_S: Final = 0.1


def start_in_background(command: list[str], variables: Mapping[str, str], folder: Path, log: Path) -> Process:
    """Start a module as a command that outlives this process."""
    with log.open("ab") as out:
        process = subprocess.Popen(  # noqa: S603  Prefect's own command, or ours
            [sys.executable, "-P", "-m", *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(variables),
            cwd=folder,  # where no `tasks.py` hides ours
            start_new_session=True,
            preexec_fn=_hear_interrupts,  # noqa: PLW1509  nothing else runs in the new process
        )
    return process_of(process.pid)


def _hear_interrupts() -> None:
    """A shell's background job ignores SIGINT, and a worker of Prefect stops by no other signal."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_all(processes: Iterable[Process]) -> None:
    """End processes, each with all of its group: at first kindly, and by force after `STOP_GRACE_S`."""
    left = [process for process in processes if is_alive(process)]
    for process in left:
        _signal(process, signal.SIGTERM)
    until = time.monotonic() + STOP_GRACE_S
    while (left := [process for process in left if is_alive(process)]) and time.monotonic() < until:
        time.sleep(_POLL_S)
    for process in left:
        _signal(process, signal.SIGKILL)


def end_strays(folder: Path, without: Process | None) -> None:
    """End the runs of workers of this stack that are gone: each run is in a session of its own, and goes on."""
    while strays := _strays_of(
        folder, without.pid if without else 0
    ):  # while they were ended, they may have started one
        end_all(strays)


def _strays_of(folder: Path, server: int) -> list[Process]:
    home = b"PREFECT_HOME=" + os.fsencode(folder)
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            number = int(environ.parent.name)
            if home in environ.read_bytes().split(b"\0") and os.getpgid(number) != server:
                found.append(process_of(number))
    return [process for process in found if is_alive(process)]


def _signal(process: Process, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
