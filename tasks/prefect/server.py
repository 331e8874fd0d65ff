"""A Prefect server for one run: private, on loopback, stopped at the end of the run.

It is not Prefect's ephemeral server, which stores only a fraction of the task runs, but Prefect's ordinary server with
settings that store records in batches; it is stopped only after all records of the run are stored. Its database lies in
the user's state folder, so that earlier runs can be looked at later. If `PREFECT_API_URL` is configured, no server is
started: the configured one is checked and used.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nst.errors import UserError
from tasks.prefect import process as prefect_process
from tasks.prefect.client import (
    client_settings,
    end_client_services,
    environment,
    import_what_a_run_needs,
    quiet_when_lost,
    to_loopback,
)
from tasks.prefect.process import ServerProcess, call

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

log = logging.getLogger("nst.prefect")

_START_DEADLINE_S = 120
_RETRIES = 2
"""Prefect's own five take over a minute of waiting, per request, for a server on loopback that has died."""
_FINAL = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


@dataclass
class Server:
    """A Prefect server that answers.

    Attributes:
        api_url: Address with `/api` at its end; the user interface is at the same address without it.
        private: Whether the server was started for this run.
        auth: `user:password` of a private server.
        process: The process of a private server.
    """

    api_url: str
    private: bool
    auth: str = field(default="", repr=False)
    process: ServerProcess | None = None
    _expected: dict[str, int] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether the private server has died: the run goes on, and nobody needs to hear of its page any more."""
        return self.process is not None and not self.process.alive()

    def ended_within(self, seconds: float) -> bool:
        """Wait this long, or until the private server has died; return whether it has."""
        return self.process is not None and self.process.ended_within(seconds)

    def abandon(self) -> None:
        """End a private server that does not answer, so that nothing waits for it."""
        if self.process is not None:
            self.process.kill()

    def expect(self, flow_run_id: str, task_runs: int) -> None:
        """Note how many task runs a flow run began: a private server is stopped only when all of them are stored."""
        self._expected[flow_run_id] = task_runs

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Return the JSON answer of a private server; see `tasks.prefect.process.call`."""
        return call(self.api_url, method, path, body, auth=self.auth)

    def drained(self, flow_run_id: str, task_runs: int, stall_s: float = 15) -> bool:
        """Wait until this many finished task runs of a flow run are stored; return False if no more arrive.

        Args:
            flow_run_id: Id of the flow run.
            task_runs: Number of task runs that must be stored in a final state.
            stall_s: Seconds without a new record after which the missing records count as lost.
        """
        finished = {
            "flow_runs": {"id": {"any_": [flow_run_id]}},
            "task_runs": {"state": {"type": {"any_": _FINAL}}},
        }
        stored, since = -1, time.monotonic()
        while True:
            now_stored = int(self.call("POST", "/task_runs/count", finished))
            if now_stored >= task_runs:
                return True
            if now_stored != stored:
                stored, since = now_stored, time.monotonic()
            elif time.monotonic() - since > stall_s:
                log.warning("Prefect stored %d of %d task runs; the catalog is not affected", stored, task_runs)
                return False
            time.sleep(0.1)

    def _drain(self) -> None:
        for flow_run_id, task_runs in self._expected.items():
            self.drained(flow_run_id, task_runs)


_current: Server | None = None


def current_server() -> Server | None:
    """Return the private server that this process runs now, if it runs one."""
    return _current


@contextlib.contextmanager
def starting_server(state_dir: Path | None = None) -> Iterator[ServerProcess | None]:
    """Start the process of a private server, which answers after seconds; it is stopped at the end of the context.

    Args:
        state_dir: Folder of the databases and logs; by default `nst/prefect` in the user's state folder.

    Yields:
        The process; None if `PREFECT_API_URL` names a server.

    Raises:
        UserError: The folder cannot be used.
    """
    if os.environ.get("PREFECT_API_URL"):
        yield None
        return
    process = prefect_process.start(state_dir or default_state_dir())
    try:
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def private_server(
    starting: ServerProcess | None,
    stopping: threading.Event | None = None,
    *,
    start_deadline_s: float = _START_DEADLINE_S,
) -> Iterator[Server]:
    """Provide this process with a Prefect server for the length of the context.

    Args:
        starting: The process of a private server; it is stopped if a Prefect profile names another server.
        stopping: Set by whoever stops the run; then the server is not waited for any longer.
        start_deadline_s: Seconds after which a server that does not answer counts as not started.

    Raises:
        UserError: The configured server does not answer.
        NotStartedError: The private server does not start.
        Stopped: `stopping` was set before the server answered.
    """
    global _current  # noqa: PLW0603  # it belongs to the process, as the environment does
    with contextlib.ExitStack() as stack:
        stack.enter_context(environment({"DO_NOT_TRACK": "1", **to_loopback(private=starting is not None)}))
        # The import of Prefect takes a second or two, in which the server starts. A profile may name a server too.
        configured = configured_url()
        if configured:
            if starting:
                starting.stop()
            check_configured(configured)
            stack.enter_context(client_settings(configured))
            yield Server(configured, private=False)
            return
        assert starting is not None
        import_what_a_run_needs()
        starting.wait_until_healthy(start_deadline_s, stopping)
        server = Server(starting.api_url, private=True, auth=starting.auth, process=starting)
        _close_dead_runs(server)
        more = {"client.max_retries": _RETRIES, "api.auth_string": server.auth}
        stack.enter_context(environment({"PREFECT_API_AUTH_STRING": server.auth}))
        stack.enter_context(client_settings(starting.api_url, more))
        _current = server
        stack.enter_context(quiet_when_lost(starting))
        try:
            yield server
        finally:
            _current = None
            try:
                with contextlib.suppress(OSError, http.client.HTTPException):
                    server._drain()  # noqa: SLF001
            finally:
                end_client_services(discard=not starting.alive())


def default_state_dir() -> Path:
    """Return `nst/prefect` in the user's state folder (XDG)."""
    base = Path(os.environ.get("XDG_STATE_HOME", ""))
    return (base if base.is_absolute() else Path.home() / ".local" / "state") / "nst" / "prefect"


def check_configured(api_url: str, timeout_s: float = 5) -> None:
    """Check that the configured server answers.

    Raises:
        UserError: It does not answer.
    """
    from prefect.client.orchestration import get_client  # a second of imports

    error: Exception | None
    try:
        with get_client(httpx_settings={"timeout": timeout_s}, sync_client=True) as client:
            error = client.api_healthcheck()
    except (ImportError, ValueError) as refused:  # a proxy of a kind that httpx does not speak; no address
        error = refused
    if error is not None:
        raise UserError(
            f"the Prefect server at {api_url} does not answer: {error!r}",
            hint="start it (`prefect server start`), or unset PREFECT_API_URL for a private server, "
            "or run with --inline",
        )


def configured_url() -> str | None:
    """Return PREFECT_API_URL of the environment or of the active Prefect profile.

    Raises:
        UserError: Prefect refuses its own settings.
    """
    try:
        from prefect.settings import PREFECT_API_URL  # a second of imports

        return PREFECT_API_URL.value() or None
    except ValueError as error:  # of pydantic
        raise UserError(
            f"Prefect's settings cannot be read: {error}",
            hint="look at the variables that begin with PREFECT_ and at the active profile, or run with --inline",
        ) from error


def _close_dead_runs(server: Server) -> None:
    """Mark flow runs as crashed that an earlier run left as running: no other process uses this database."""
    left = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}
    state = {
        "type": "CRASHED",
        "name": "Crashed",
        "message": "The process of the run ended without reporting its state.",
    }
    with contextlib.suppress(OSError, http.client.HTTPException):
        for flow_run in server.call("POST", "/flow_runs/filter", left):
            server.call("POST", f"/flow_runs/{flow_run['id']}/set_state", {"state": state, "force": True})
