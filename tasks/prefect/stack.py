"""The standing stack of this machine: a Prefect server, the deployments, and a worker of Prefect for each device.

    server -> work pool and its queues -> deployments of deploy.yaml -> automations -> workers

The problem: a sweep that is submitted at night needs a server that is there, workers that take it up, and somebody who
notices that a worker has died. Each of these is a command of Prefect with a dozen settings.

The rule: `up` brings each part up that is not there, and changes nothing else; `down` ends what `up` started. What was
started is in the user's state folder (`standing.json`), each process with the time of its start, so that no number of a
process is ever mistaken for another's; what `up` was told stays there (`told.json`) for the next `up`. The database is
there, too, unless `PREFECT_SERVER_DATABASE_CONNECTION_URL` names one. Where `PREFECT_API_URL` names a server, this
machine adds workers to it, and deployments if there are none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from nst.errors import TransientError, UserError
from tasks.prefect.background import end_all, end_strays, start_in_background
from tasks.prefect.client import to_loopback
from tasks.prefect.deploying import POOL, deploy_file, read_deployments
from tasks.prefect.parts import close_gone
from tasks.prefect.process import RECORDS_IN_BATCHES
from tasks.prefect.provisioning import has_deployments, prepare_pool
from tasks.prefect.server import check_configured, default_state_dir
from tasks.prefect.standing import (
    Standing,
    Told,
    alone,
    answers_at,
    forget,
    in_use,
    is_alive,
    is_recorded,
    keep,
    remember,
    standing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tasks.processes import Process

_START_DEADLINE_S: Final = 120
_POLL_S: Final = 0.1

_INBOX: Final = "inbox"

_HEARTBEAT_S: Final = 30
"""Seconds between two heartbeats of a flow run; Prefect's least."""

_SERVER: Final = {
    **RECORDS_IN_BATCHES,
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "DO_NOT_TRACK": "1",
}
_DATABASE: Final = ("PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL")

_WORKER: Final = {
    "PREFECT_WORKER_QUERY_SECONDS": "2",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(_HEARTBEAT_S),
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "nst",  # whose warnings are in the log of the run's page, too
    "DO_NOT_TRACK": "1",
}


def up(
    root: str,
    workers: Sequence[str],
    say: Callable[[str], None],
    *,
    host: str = "127.0.0.1",
    port: int = 4200,
    notify: str = "",
    state_dir: Path | None = None,
) -> Standing:
    """Bring up what is not there of the stack, and return it.

    Args:
        root: URI of the root that the nightly deployments and the inbox work on; "" for a machine that joins a server
            with deployments.
        workers: The device of each worker that is to run here; one that runs beyond them is stopped.
        say: Called with a line for each step that takes its time.
        host: Address that the server listens at; other machines need one that they see.
        port: Its port; another one is taken where it is in use.
        notify: Where failures are told (`tasks.prefect.provisioning.prepare_pool`); "" leaves it as it is.
        state_dir: Folder of the record, the database and the logs; by default the user's.

    Raises:
        UserError: The state folder cannot be used, the server does not answer, Prefect refuses a deployment, or this
            machine has another server up.
        TransientError: The server stopped answering; what is up stays up.
    """
    folder = state_dir or default_state_dir()
    with alone(folder):
        read_deployments(deploy_file())
        before = standing(folder)
        found = replace(_served(before, folder, (host, port), say), root=root)
        if before and before.root != root:
            end_all([process for name, process in found.processes.items() if name.endswith(_INBOX)])
        found = keep(replace(found, processes=_living(found)), folder)
        remember(Told("" if found.server else found.api_url, root, tuple(workers)), folder)
        with in_use(found):
            found = keep(_deployed(found, notify, say), folder)
            found = _staffed(found, folder, workers, say)
            close_gone()  # also those of workers that were stopped here
    return found


def _deployed(found: Standing, notify: str, say: Callable[[str], None]) -> Standing:
    """Return the stack with its work pool, deployments and automations on the server."""
    to_deploy = _digest(found, notify)
    if found.deployed == to_deploy:
        return found
    if found.server is None and has_deployments():  # of somebody else, with a root of their own
        return found
    if not found.root:
        raise UserError(
            f"{found.page} has no deployments of ours yet", hint="name the root of its nightly runs: --root"
        )
    say("putting the work pool, the deployments and the automations on the server")
    prepare_pool(heartbeat_s=_HEARTBEAT_S, notify=notify)
    _deploy(found.root)
    return replace(found, deployed=to_deploy)


def down(say: Callable[[str], None], *, state_dir: Path | None = None) -> bool:
    """End what `up` has started on this machine; return whether there was anything.

    Runs publish what they have finished first. What is submitted stays open below its root.
    """
    folder = state_dir or default_state_dir()
    with alone(folder):
        found = standing(folder)
        if found is None:
            return _ended_unrecorded(folder, say)
        say(f"stopping {len(found.processes)} workers; their runs publish what they have finished")
        end_all(found.processes.values())
        end_strays(folder, without=found.server)
        if found.answers:
            with in_use(found), contextlib.suppress(TransientError):  # of a server whose database is gone, maybe
                close_gone()
        if found.server:
            say("stopping the server")
            end_all([found.server])
        forget(folder)
    return True


def _ended_unrecorded(folder: Path, say: Callable[[str], None]) -> bool:
    """End what a damaged record does not tell of any more; return whether there was such a record."""
    if not is_recorded(folder):
        return False
    say("the record of what is up is damaged: ending all that was started from its folder")
    end_strays(folder, without=None)
    forget(folder)
    return True


def _served(before: Standing | None, folder: Path, at: tuple[str, int], say: Callable[[str], None]) -> Standing:
    """Return the stack with a server that answers."""
    host, port = at
    configured = os.environ.get("PREFECT_API_URL", "")
    if before and before.server and is_alive(before.server):
        if configured not in {"", before.api_url}:
            text = f"this machine has a server up at {before.page}, and PREFECT_API_URL names {configured}"
            raise UserError(text, hint="end it first: nst down")
        return before
    if configured:
        check_configured(configured)
        auth = os.environ.get("PREFECT_API_AUTH_STRING", "")
        if before and before.api_url == configured:
            return replace(before, auth=auth)
        return Standing(configured, auth, "", None, before.processes if before else {})
    end_all(before.processes.values() if before else ())  # of a server that has died
    if before is None:
        _ended_unrecorded(folder, say)
    say("starting the Prefect server")
    auth = before.auth if before and before.auth else f"nst:{secrets.token_urlsafe(24)}"
    address = socket.gethostname() if host in {"0.0.0.0", "::"} else host  # noqa: S104  it is what the user asked for
    port = port if _is_free(host, port) else _free_port(host)
    api_url = f"http://{address}:{port}/api"
    variables = {
        **_environment(),
        **_SERVER,
        "PREFECT_HOME": str(folder),
        _DATABASE[0]: _database(folder),
        "PREFECT_SERVER_API_AUTH_STRING": auth,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": api_url.removesuffix("/api"),
        "PREFECT_SERVER_UI_API_URL": api_url,
        "PREFECT_UI_URL": api_url.removesuffix("/api"),
    }
    log = folder / "server.log"
    process = start_in_background(
        ["prefect", "server", "start", "--host", host, "--port", str(port)], variables, folder, log
    )
    try:
        found = keep(Standing(api_url, auth, "", process, {}), folder)
    except UserError:  # nobody would find it again
        end_all([process])
        raise
    began = time.monotonic()
    while not (is_alive(process) and answers_at(f"http://127.0.0.1:{port}/api" if address != host else api_url, auth)):
        if not is_alive(process) or time.monotonic() - began > _START_DEADLINE_S:
            end_all([process])
            forget(folder)
            end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            raise UserError(f"the Prefect server did not start; the end of {log}:\n{end}")
        time.sleep(_POLL_S)
    return found


def _staffed(found: Standing, folder: Path, devices: Sequence[str], say: Callable[[str], None]) -> Standing:
    """Return the stack with a worker for each device, and with one process for the inbox, and no others."""
    host = socket.gethostname()
    wanted = {f"{host}-{device if device != 'cpu' else f'cpu-{n}'}": device for n, device in enumerate(devices)}
    if found.server:
        wanted[f"{host}-{_INBOX}"] = ""
    if beyond := [name for name in found.processes if name not in wanted]:
        say(f"stopping {', '.join(beyond)}")
        end_all([found.processes[name] for name in beyond])
    found = replace(found, processes=_living(found))
    missing = {name: device for name, device in wanted.items() if name not in found.processes}
    if missing:
        say(f"starting {', '.join(missing)}")
    of_cpu = sum(device == "cpu" for device in devices)
    for name, device in missing.items():
        variables = _environment() | _WORKER | {"PREFECT_API_URL": found.api_url, "PREFECT_HOME": str(folder)}
        variables |= {"PREFECT_API_AUTH_STRING": found.auth} if found.auth else {}
        variables |= {"NST_DEVICES": device, "no_proxy": to_loopback(private=True)["no_proxy"] or ""}
        if of_cpu > 1:
            variables.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // of_cpu)))
        command = ["prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", "1", "--name", name]
        if not device:
            command = ["flows", "inbox", "--stay", "--root", found.root]
        log = folder / f"{name.removeprefix(f'{host}-').replace(':', '-')}.log"
        started = start_in_background(command, variables, folder, log)
        found = keep(replace(found, processes={**found.processes, name: started}), folder)  # also if interrupted here
    return keep(found, folder)


def _living(found: Standing) -> dict[str, Process]:
    """Return the processes that are there still."""
    return {name: process for name, process in found.processes.items() if is_alive(process)}


def _digest(found: Standing, notify: str) -> str:
    """Return what tells one state of the deployments and the automations from another."""
    parts = (found.api_url, found.root, notify, version("nst-batch"), deploy_file().read_text(encoding="utf-8"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _deploy(root: str) -> None:
    """Put the deployments on the server, as `prefect deploy` does.

    Raises:
        UserError: Prefect refuses.
    """
    command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file"]
    variables = {**os.environ, "NST_ROOT": root}
    done = subprocess.run(  # noqa: S603  Prefect's own command
        [*command, str(deploy_file())], env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        end = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise UserError(f"Prefect refused the deployments of {deploy_file()}:\n{end}")


def _environment() -> dict[str, str]:
    """Return this process's environment without its settings of Prefect, which are meant for other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}


def _database(folder: Path) -> str:
    named = next((os.environ[name] for name in _DATABASE if os.environ.get(name)), "")
    return named or f"sqlite+aiosqlite:///{folder / 'standing.db'}"


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return True
    return False


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
