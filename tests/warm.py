"""Processes of nst that are forked from one that has imported torch already, in a few hundredths of a second each.

The command starts in about two seconds, and a worker in four more, nearly all of it for imports. A test whose fact is
what a run does, and not how its processes come to be, takes them from here: `nst` and `start` run the command in a
process of its own, with its own environment, working folder and exit code, and the fixture `warm_workers` (conftest)
serves a run within the test's process. The workers of both are forked too. How nst itself starts and ends processes is
asserted with real ones: in test_run.py, test_workers.py, test_stop.py, test_kill.py, test_leaving.py, test_package.py.
Runs with Prefect are forked by `warm_prefect.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

IMPORTED = [
    "aiobotocore.session",
    "s3fs",
    "torch._dynamo",  # which Adam imports when it is first made
    "pandas",
    "pyarrow.dataset",
    "rich.progress",
    "rich.table",
    "trainings",
    "typer",
    "flows.here",
    "flows.order.participation",
    "flows.order.request",
    "flows.order.submission",
    "flows.order.sweep",
    "flows.order.training",
    "tasks.fsck.check",
    "tasks.pages.export",
    "tasks.work.stylize",
    "tasks.work.training",
    "warm",
]
"""What the process that all are forked from imports; nothing that reads the environment or the terminal for good."""

DEADLINE_S = 240
POLL_S = "tasks.claims.POLL_S"
"""Names how often runs of one sweep look at what others do while they wait for them."""


class Origin(forkserver.ForkServer):
    """A process that others are forked from, once it has imported what they need, helpers of the tests among it.

    Args:
        imported: The modules.
    """

    def __init__(self, imported: list[str]) -> None:
        super().__init__()
        self.set_forkserver_preload([*imported, "warm_in_the_end"])

    def ensure_running(self) -> None:
        """Start it, unless it runs; Python 3.11 does not tell it where this process finds its modules."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
            super().ensure_running()


forkserver._forkserver = Origin(IMPORTED)  # type: ignore[attr-defined]
for _name in ("ensure_running", "get_inherited_fds", "connect_to_new_process", "set_forkserver_preload"):
    setattr(forkserver, _name, getattr(forkserver._forkserver, _name))


class _Process(ForkServerProcess):
    """A process that is forked from the warm one, and has the environment of the process that asks for it."""

    def __init__(self, group: None = None, target: Any = None, args: tuple[Any, ...] = (), **options: Any) -> None:
        super().__init__(group, _in_environment, args=(dict(os.environ), target, *args), **options)


class _Context(ForkServerContext):
    Process = _Process

    def get_context(self, method: str | None = None) -> Any:
        return self


CONTEXT = _Context()


def _in_environment(environment: Mapping[str, str], target: Callable[..., object], *arguments: object) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


@contextmanager
def warm_workers() -> Iterator[None]:
    """Fork the workers and trials of runs within this process, instead of spawning them."""
    forking = SimpleNamespace(get_context=CONTEXT.get_context)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.work.worker.multiprocessing", forking)
        patch.setattr("tasks.work.calibration.multiprocessing", forking)
        patch.setattr("tasks.bench.trial.multiprocessing", forking)
        yield


def address() -> str:
    """Return where the warm process of this one takes requests, for `join`."""
    forkserver.ensure_running()
    return forkserver._forkserver._forkserver_address


def join(there: str) -> None:
    """Fork from the warm process of another one, in a process that was started as users do."""
    server = forkserver._forkserver
    server._forkserver_address = there
    server._forkserver_alive_fd = os.pipe()[1]  # children are told of it; the warm process lives as long as its owner
    server.ensure_running = lambda: None  # type: ignore[method-assign]


def take_place(folder: str, out: str, err: str) -> None:
    """Be a process of its own in a folder, with files for what it says."""
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[method-assign]  # the one that this came from
    os.setsid()  # what it starts itself is its group
    # Where the start of a worker was the first that needed the warm process, that has Control-C blocked for ever.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.chdir(folder)
    for file, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), descriptor)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # whoever waits for a line reads it at once


def _command(folder: str, arguments: list[str], out: str, err: str, changed: Mapping[str, Any]) -> None:
    """Be the command: in a folder, with these arguments and files for what it says, and with changed constants."""
    take_place(folder, out, err)
    sys.argv = ["nst", *arguments]
    with warm_workers(), pytest.MonkeyPatch.context() as patch:
        for module in ("stop", "engine"):
            patch.setattr(f"flows.{module}.GRACE_S", DEADLINE_S)  # a stopped run publishes, however slow the machine
        for name, value in changed.items():
            patch.setattr(name, value)
        for name in ("flows.order.participation.LOOK_EVERY_S", "flows.order.submission._LOOK_EVERY_S", POLL_S):
            patch.setattr(name, 0.2)
        from flows.__main__ import main

        main()


class Command:
    """A running command, as `subprocess.Popen` has it."""

    def __init__(
        self,
        arguments: tuple[object, ...],
        cwd: Path | None,
        environment: Mapping[str, str],
        be: Callable[..., None] = _command,
        changed: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._said = tempfile.TemporaryDirectory()
        files = [f"{self._said.name}/{name}" for name in ("out", "err")]
        given = (str(cwd or Path.cwd()), [str(argument) for argument in arguments], *files, dict(changed))
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            self._process = CONTEXT.Process(target=be, args=given)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def ended(self, timeout: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """Wait for the end, and return the exit code and what was said."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            pytest.fail(f"no end after {timeout} s: {self.said}")
        said = self.said
        self._said.cleanup()
        return subprocess.CompletedProcess([], self._process.exitcode, *said)

    @property
    def said(self) -> tuple[str, str]:
        """What was written to the standard output, and to the standard error."""
        files = (Path(self._said.name) / name for name in ("out", "err"))
        out, err = (file.read_text() if file.exists() else "" for file in files)
        return out, err


def start(
    *arguments: object, cwd: Path | None = None, changed: Mapping[str, Any] = MappingProxyType({}), **environment: str
) -> Command:
    """Start the command `nst` with these arguments; `changed` names constants that it has with other values."""
    return Command(arguments, cwd, environment, changed=changed)


def nst(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command `nst` with these arguments, and return its exit code and what it said."""
    return start(*arguments, cwd=cwd, **environment).ended()
