"""Runs with Prefect, and private Prefect servers, that are forked from a process that has imported Prefect already.

The imports of a server take three seconds of processor time, and those of a run that is recorded one, besides what
`warm.py` spares. A run and servers as users start them are those of test_run_page.py and test_prefect_server.py, and a
worker of Prefect with its runs is that of test_schedule.py.
"""

from __future__ import annotations

import logging
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import warm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_ORIGIN = warm.Origin([
    *warm.IMPORTED,
    "fastapi.encoders",
    "flows.prefect_engine",
    "prefect.cli.deploy",
    "prefect.events.worker",
    "prefect.flow_engine",
    "prefect.server.api.server",
    "prefect.task_engine",
    "prefect.utilities.visualization",
    "tasks.prefect.server",
    "uvicorn",
    "warm_prefect",
])  # fmt: skip

HELD = "NST_TEST_HELD_SERVER"
"""A variable of the environment: where it is set, a server stops itself before it serves, until SIGCONT."""


def start(
    *arguments: object, cwd: Path, changed: Mapping[str, Any] = MappingProxyType({}), **environment: str
) -> warm.Command:
    """Start the command `nst` with these arguments; its private server and its workers are forked too."""
    with _forked_from_the_origin():
        return warm.Command(arguments, cwd, environment, _command, changed)


def prefect(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command `prefect` with these arguments, and return its exit code and what it said."""
    with _forked_from_the_origin():
        return warm.Command(arguments, cwd, environment, _prefect).ended()


@contextmanager
def warm_servers() -> Iterator[None]:
    """Fork the private servers that this process starts."""
    with _forked_from_the_origin(), _servers_are_forked():
        yield


@contextmanager
def _forked_from_the_origin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forkserver, "connect_to_new_process", _ORIGIN.connect_to_new_process)
        yield


@contextmanager
def _servers_are_forked() -> Iterator[None]:
    constants = {name: getattr(subprocess, name) for name in ("PIPE", "STDOUT", "TimeoutExpired")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.prefect.process.subprocess", SimpleNamespace(Popen=_Popen, **constants))
        yield


def _command(*given: Any) -> None:
    _as_if_just_imported()
    with _servers_are_forked():
        warm._command(*given)


def _prefect(folder: str, arguments: list[str], out: str, err: str, _: object) -> None:
    _as_if_just_imported()
    warm.take_place(folder, out, err)
    sys.argv = ["prefect", *arguments]
    runpy.run_module("prefect", run_name="__main__")


def _as_if_just_imported() -> None:
    """Let Prefect read the environment, and let it set up its logging when it is used first."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import PROCESS_LOGGING_CONFIG

    refresh_global_settings_context()
    PROCESS_LOGGING_CONFIG.clear()
    logging.root.handlers.clear()  # which write to the standard error of the process that this came from


class _Popen:
    """What `subprocess.Popen` is for the program of a private server, `tasks/prefect/serve.py`."""

    def __init__(self, command: list[str], *, stdout: Any, pass_fds: list[int], **options: Any) -> None:
        assert options["stdin"] == subprocess.PIPE
        assert options["start_new_session"]
        reading, writing = os.pipe()
        self.stdin = os.fdopen(writing, "wb")
        ends = [Connection(fd) for fd in (reading, os.dup(stdout.fileno()), *map(os.dup, pass_fds))]
        given = (int(command[-1]), ends, options["umask"], options["env"])
        self._process, self._one_asks = ForkServerProcess(target=_server, args=given), threading.Lock()
        self._process.start()
        self.pid = self._process.pid
        for end in ends:
            end.close()

    def poll(self) -> int | None:
        with self._one_asks:
            return self._process.exitcode

    def wait(self, timeout: float = warm.DEADLINE_S) -> int:
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired([], timeout)
            time.sleep(0.01)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _server(port: int, ends: list[Connection], umask: int, environment: Mapping[str, str]) -> None:
    """Be the server: with a pipe as its standard input, a file for what it says, and a lock that it keeps."""
    os.setsid()
    os.umask(umask)
    for end, descriptor in ((ends[0], 0), (ends[1], 1), (ends[1], 2)):
        os.dup2(end.fileno(), descriptor)
    if HELD in environment:
        os.kill(os.getpid(), signal.SIGSTOP)
    os.environ.clear()
    os.environ.update(environment)
    _as_if_just_imported()
    from tasks.prefect import serve

    threading.Thread(target=serve.follow_owner, daemon=True).start()
    serve.serve(port)
