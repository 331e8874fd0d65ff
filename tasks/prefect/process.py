"""The process of a private Prefect server: started, awaited, stopped, and never left running.

The server (`serve.py`) depends on a pipe and ends with its owner. (A *forked* child of the owner would hold the pipe
open too; our device workers are spawned.) It holds a lock on its database file, so that two runs at one time, or a run
and a server that is still stopping, never share a database: the next run takes the next file.

Other users of the machine and web pages are kept out: requests need a random password, browsers may call from the
server's own address alone, and folder and database are the user's alone.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from nst.errors import Stopped, UserError
from nst.yaml.json_text import from_json
from tasks.prefect import serve

_LOG_LINES = 15
_POLL_S = 0.05
_ASK_EVERY_S = 5.0
_SILENCES = 3
"""Questions in a row, of ten seconds each, to which a server that lives gives some answer even on a busy machine."""


class NotStartedError(UserError):
    """A private server ended before it answered, or it did not answer in time; the first line says which."""


RECORDS_IN_BATCHES = {
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}
"""One transaction for up to 500 records instead of one each: a quarter of the CPU, a thirtieth of the delay.

The interval is of whole seconds: Prefect cuts off the rest, and of less than one it makes a loop that takes a core."""

_SETTINGS = {
    **RECORDS_IN_BATCHES,
    # A private server has no schedules, workers or automations.
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_TRIGGERS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class ServerProcess:
    """A server that was started; it may not answer yet.

    Attributes:
        api_url: Address on loopback, with `/api` at its end.
        log_path: File with what the server prints.
        process: The process; its standard input is the pipe that keeps it running.
        auth: `user:password`, which each request must bring.
    """

    api_url: str
    log_path: Path
    process: subprocess.Popen[bytes]
    auth: str = field(repr=False)

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self.process.poll() is None

    def ended_within(self, seconds: float) -> bool:
        """Wait this long, or until the process has ended; return whether it has."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait_until_healthy(self, deadline_s: float, stopping: threading.Event | None = None) -> None:
        """Return when the server answers.

        Raises:
            NotStartedError: It ended, or it did not answer in time; with the end of its log.
            Stopped: `stopping` was set.
        """
        began, stopping = time.monotonic(), stopping or threading.Event()
        while True:
            if self._answers():
                return
            if not self.alive() or time.monotonic() - began > deadline_s:
                code = self.process.poll()
                what = f"did not answer within {deadline_s:g} s" if code is None else f"ended with code {code}"
                lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
                raise NotStartedError(
                    "\n".join([f"the private Prefect server {what}", f"the end of {self.log_path}:", *lines, ""]),
                    hint="run with --inline to do without Prefect, or set PREFECT_API_URL to your own server",
                )
            if stopping.wait(_POLL_S):
                raise Stopped("the run was stopped before Prefect answered")

    def end_when_silent(self) -> str:
        """Return how the process has ended; it is killed when it does not answer three questions in a row."""
        silences = 0
        while silences < _SILENCES:
            if self.ended_within(_ASK_EVERY_S):
                return f"ended with code {self.process.poll()}"
            silences = 0 if self._answers() else silences + 1
        self.kill()
        return f"did not answer {_SILENCES} questions"

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return call(self.api_url, "GET", "/health") is True
        return False

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        if not self.ended_within(serve.STOP_GRACE_S + 2):
            self.kill()


def start(state_dir: Path, number: int | None = None) -> ServerProcess:
    """Start a server on a free port of loopback.

    Args:
        state_dir: Folder of the databases.
        number: Number of an existing database; by default the first free one is taken, or made.

    Raises:
        UserError: The folder or the database cannot be used.
    """
    if number is not None and not (state_dir / f"runs-{number}.db").exists():
        raise UserError(f"no runs are kept in {state_dir}/runs-{number}.db", hint="`nst run` keeps its runs there")
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        state_dir.chmod(0o700)
        database, lock = _free_database(state_dir.resolve(), number or 0)
    except OSError as error:
        raise UserError(
            f"the state folder of the private Prefect server cannot be used: {error}",
            hint="set XDG_STATE_HOME to a folder that you may write to, or run with --inline",
        ) from error
    if number is not None and database.stem != f"runs-{number}":
        lock.close()
        raise UserError(f"runs-{number}.db is in use by a run", hint="open the page that the run has printed")
    # The user's Prefect settings are meant for other servers.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= _SETTINGS
    environment["PREFECT_HOME"] = str(database.parent)
    environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{database}"
    port, auth = _free_port(), f"nst:{secrets.token_urlsafe(24)}"
    address = f"http://{serve.HOST}:{port}"
    environment["PREFECT_SERVER_API_AUTH_STRING"] = auth
    environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = address
    environment["PREFECT_SERVER_UI_API_URL"] = f"{address}/api"
    if database.exists():
        database.chmod(0o600)
    log_path = database.with_suffix(".log")
    with lock, log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-P", str(Path(serve.__file__).resolve()), str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock.fileno()],
            umask=0o077,
            start_new_session=True,  # Control-C is the owner's to handle: its last records must still be stored
        )
    return ServerProcess(f"{address}/api", log_path, process, auth)


def call(api_url: str, method: str, path: str, body: object = None, *, auth: str = "") -> Any:
    """Return the JSON answer of a server on loopback: no proxies, no retries.

    Args:
        api_url: Address with `/api` at its end.
        method: `GET` or `POST`.
        path: What follows `/api`.
        body: Sent as JSON.
        auth: `user:password`, "" for a server that asks for none.

    Raises:
        OSError, http.client.HTTPException: No answer, or an answer that is an error.
    """
    parts = urlsplit(api_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    with contextlib.closing(connection):
        payload = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        if auth:
            headers["Authorization"] = "Basic " + base64.b64encode(auth.encode()).decode()
        connection.request(method, parts.path + path, payload, headers)
        response = connection.getresponse()
        text = response.read()
    if response.status >= http.client.BAD_REQUEST:
        raise http.client.HTTPException(f"{method} {path}: {response.status} {text[:300]!r}")
    return from_json(text)


def _free_database(state_dir: Path, number: int = 0) -> tuple[Path, IO[bytes]]:
    """Return the first database file from this number on that no server holds, and its lock."""
    while True:
        database = state_dir / f"runs-{number}.db"
        lock = database.with_suffix(".lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
        else:
            return database, lock


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((serve.HOST, 0))
        return int(probe.getsockname()[1])
