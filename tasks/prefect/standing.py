"""What `nst up` has started on this machine: the record of it in the state folder, and whoever asks its server."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from nst.errors import UserError
from nst.yaml.json_text import checked_json
from tasks.prefect.client import client_settings, environment, to_loopback
from tasks.prefect.process import call
from tasks.prefect.server import default_state_dir
from tasks.processes import Process, process_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Standing:
    """What `up` has started on this machine.

    Attributes:
        api_url: Address of the server, with `/api` at its end.
        auth: `user:password`, which each request must bring; "" where the server asks for none, or is somebody else's.
        root: URI of the root that the nightly deployments work on.
        server: Its process; None where the server is somebody else's.
        processes: The workers by their names, and what looks into the inbox.
        deployed: Digest of what was put on the server last.
    """

    api_url: str
    auth: str = field(repr=False)
    root: str
    server: Process | None
    processes: dict[str, Process]
    deployed: str = ""

    @property
    def page(self) -> str:
        """Address of the server's pages."""
        return self.api_url.removesuffix("/api")

    @property
    def answers(self) -> bool:
        """Whether its server answers."""
        return answers_at(self.api_url, self.auth)

    @property
    def is_up(self) -> bool:
        """Whether its server runs, if it is this machine's."""
        return self.server is None or is_alive(self.server)


@dataclass(frozen=True, slots=True)
class Told:
    """What `up` was told last, in a record that outlives `down`: the next `up` goes by it where nothing else is named.

    Attributes:
        server: Address of the server that this machine joined; "" for one of its own.
        root: URI of the root that the nightly deployments work on; "" if none was named.
        devices: The device of each worker.
    """

    server: str
    root: str
    devices: tuple[str, ...]


_STANDING: Final = TypeAdapter(Standing)
_TOLD: Final = TypeAdapter(Told)


def within_reach(state_dir: Path | None = None) -> Standing | None:
    """Return the stack that `PREFECT_API_URL` names, or that this machine has up; None if there is neither."""
    if configured := os.environ.get("PREFECT_API_URL"):
        return Standing(configured, os.environ.get("PREFECT_API_AUTH_STRING", ""), "", None, {})
    found = standing(state_dir)
    return found if found and found.is_up else None


def is_alive(process: Process) -> bool:
    """Return whether a process of this machine is there still."""
    return process_of(process.pid) == process


def standing(state_dir: Path | None = None) -> Standing | None:
    """Return what `up` has started on this machine; None if it has not, or its record is damaged."""
    try:
        return checked_json(_STANDING, _record(state_dir or default_state_dir()).read_bytes())
    except (OSError, ValueError):
        return None


def is_recorded(folder: Path) -> bool:
    """Return whether there is a record of what is up, damaged or not."""
    return _record(folder).exists()


@contextlib.contextmanager
def in_use(found: Standing) -> Iterator[None]:
    """Let the Prefect client of this process ask the server of a stack."""
    auth = {"PREFECT_API_AUTH_STRING": found.auth} if found.auth else {}
    more = {"api.auth_string": found.auth} if found.auth else {}
    on_loopback = urlsplit(found.api_url).hostname == "127.0.0.1"
    variables = {"DO_NOT_TRACK": "1", **to_loopback(private=on_loopback), **auth}
    with environment(variables), client_settings(found.api_url, more):
        yield


def answers_at(api_url: str, auth: str) -> bool:
    """Return whether a server answers that knows the password: another one at the same address does not."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return isinstance(call(api_url, "GET", "/admin/version", auth=auth), str)
    return False


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other `up` and `down` commands of this user out of the context.

    Raises:
        UserError: The folder cannot be used, or another one is at it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        lock = (folder / "standing.lock").open("wb")
    except OSError as error:
        raise UserError(f"the state folder {folder} cannot be used: {error}", hint="set XDG_STATE_HOME") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError("another nst up or nst down is going on", hint="wait until it has ended") from None
        yield


def forget(folder: Path) -> None:
    """Remove the record of what is up; what `up` was told stays."""
    _record(folder).unlink(missing_ok=True)


def told_last(server: str, state_dir: Path | None = None) -> Told | None:
    """Return what `up` was told last; None if that was about another server, or there is no record of it.

    Args:
        server: As `Told.server`.
        state_dir: Folder of the record; by default the user's.
    """
    try:
        found = checked_json(_TOLD, _told(state_dir or default_state_dir()).read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.server == server else None


def remember(told: Told, folder: Path) -> None:
    """Write what `up` was told."""
    _write(_told(folder), told)


def _record(folder: Path) -> Path:
    return folder / "standing.json"


def _told(folder: Path) -> Path:
    return folder / "told.json"


def keep(found: Standing, folder: Path) -> Standing:
    """Write the record, readable by the user alone, since it holds the server's password; return what it records."""
    _write(_record(folder), found)
    return found


def _write(path: Path, record: Standing | Told) -> None:
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(record)))
        new.replace(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error}", hint="see to the folder, or set XDG_STATE_HOME"
        ) from error
