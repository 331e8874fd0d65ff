"""The process of a private Prefect server: started, awaited, stopped, and never left running.

The server depends on a pipe: it holds the reading end as its standard input and stops when the writing end is closed,
which the system does however the owner ends. (A *forked* child of the owner would hold the pipe open too; our device
workers are spawned.) The server itself holds a lock on its database file, so that two runs at one time, or a run and a
server that is still stopping, never share a database: the next run takes the next file.

Run as a module, this file *is* the server's process.
"""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nst.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

_STOP_GRACE_S = 10
_LOG_LINES = 15

_SETTINGS = {
    # One transaction for up to 500 records instead of one each: a quarter of the CPU, a thirtieth of the delay.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "500",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
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
    """

    api_url: str
    log_path: Path
    process: subprocess.Popen[bytes]

    def alive(self) -> bool:
        """Return whether the process still runs."""
        return self.process.poll() is None

    def wait_until_healthy(self, deadline_s: float) -> None:
        """Return when the server answers.

        Raises:
            UserError: It ended, or it did not answer in time; with the end of its log.
        """
        began = time.monotonic()
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if call(self.api_url, "GET", "/health") is True:
                    return
            if not self.alive() or time.monotonic() - began > deadline_s:
                code = self.process.poll()
                what = f"did not answer within {deadline_s:g} s" if code is None else f"ended with code {code}"
                lines = self.log_path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
                raise UserError(
                    "\n".join([f"the private Prefect server {what}; the end of {self.log_path}:", *lines, ""]),
                    hint="run with --inline to do without Prefect, or set PREFECT_API_URL to your own server",
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop the server and wait for its end."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(_STOP_GRACE_S + 2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(state_dir: Path) -> ServerProcess:
    """Start a server on a free port of loopback with the first free database of the folder.

    Raises:
        UserError: The folder cannot be used.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        database, lock = _free_database(state_dir.resolve())
    except OSError as error:
        raise UserError(
            f"the state folder of the private Prefect server cannot be used: {error}",
            hint="set XDG_STATE_HOME to a folder that you may write to, or run with --inline",
        ) from error
    # The user's Prefect settings are meant for other servers.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= _SETTINGS
    environment["PREFECT_HOME"] = str(database.parent)
    environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = f"sqlite+aiosqlite:///{database}"
    port = _free_port()
    log_path = database.with_suffix(".log")
    with lock, log_path.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  # our own module
            [sys.executable, "-m", __name__, str(port)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[lock.fileno()],
            start_new_session=True,  # Control-C is the owner's to handle: its last records must still be stored
        )
    return ServerProcess(f"http://127.0.0.1:{port}/api", log_path, process)


def call(api_url: str, method: str, path: str, body: object = None) -> Any:
    """Return the JSON answer of a server on loopback: no proxies, no retries.

    Raises:
        OSError, http.client.HTTPException: No answer, or an answer that is an error.
    """
    parts = urlsplit(api_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    with contextlib.closing(connection):
        payload = None if body is None else json.dumps(body)
        connection.request(method, parts.path + path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
    if response.status >= http.client.BAD_REQUEST:
        raise http.client.HTTPException(f"{method} {path}: {response.status} {text[:300]!r}")
    return json.loads(text)


def _free_database(state_dir: Path) -> tuple[Path, IO[bytes]]:
    """Return the first database file that no server holds, and its lock."""
    number = 0
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
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _serve(port: str) -> None:
    """Run the server in this process until standard input ends."""

    def follow_owner() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_STOP_GRACE_S)
        os._exit(1)

    threading.Thread(target=follow_owner, daemon=True).start()
    sys.argv = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", port]
    runpy.run_module("prefect", run_name="__main__")


if __name__ == "__main__":
    _serve(sys.argv[1])
