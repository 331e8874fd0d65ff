"""One run at a time on each accelerator of a machine: a file of the machine that the run holds locked (`flock`).

The system releases the lock of a process that ends, however it ends. The file says who holds the lock, for a message
alone; and it stays, since removing it would let two processes hold two files of one name.

Users of one machine share the files. Where one cannot be opened or locked, a run says so and goes on without the lock:
it keeps runs from being slow together, and no result depends on it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import stat
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from nst.redaction import redacted
from nst.yaml.json_text import checked_json
from tasks.devices import name_on_machine

LOGGER: Final = logging.getLogger("nst.devices")

_FOLDER: Final = Path("/tmp")  # noqa: S108  the machine's: TMPDIR differs between sessions, which would not meet
_MOST_BYTES: Final = 1000
_MOST_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True)
class _Holder:
    """What the file of a lock says about the process that holds it."""

    pid: int
    what: str
    """Its command."""


_HOLDER: Final = TypeAdapter(_Holder)


class DeviceLock:
    """The lock of one device; safe to use from several threads.

    Args:
        name: Names the device for all processes of the machine; letters, digits and `-`.
        folder: Where the file lies.
    """

    def __init__(self, name: str, folder: Path = _FOLDER) -> None:
        self.path = folder / f"nst-device-{name}.lock"
        self._file: int | None = None
        self._is_given_up = False
        self._changing = threading.Lock()

    def acquire(self) -> bool:
        """Take the lock if it is free, and return whether work may begin; without waiting, and again at any rate."""
        with self._changing:
            if self._file is not None or self._is_given_up:
                return True
            try:
                file = _opened(self.path, create=True)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(file)
                    raise
            except BlockingIOError:
                return False
            except OSError as error:
                LOGGER.warning("%s cannot be locked (%s); going on without", self.path, error.strerror)
                self._is_given_up = True
                return True
            self._file = file
            with contextlib.suppress(OSError):  # another user's file may be readable alone
                os.ftruncate(file, 0)
                os.pwrite(file, _about_this_process(), 0)
            return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        with self._changing:
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, 0)
                os.close(self._file)
                self._file = None

    def holder(self) -> str:
        """Return who holds the lock, "" if nobody does, for a message: `process 4711 (nst run night.yaml)`."""
        try:
            file = _opened(self.path, create=False)
        except OSError:
            return ""
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _said(os.pread(file, _MOST_BYTES, 0))
        except OSError:
            pass
        finally:
            os.close(file)
        return ""


def lock_of(device: str) -> DeviceLock | None:
    """Return the lock of a device, None for the CPU, whose cores the system shares out.

    Args:
        device: Its name as users write it (`tasks.devices`).
    """
    name = name_on_machine(device)
    return DeviceLock(name) if name else None


def _opened(path: Path, *, create: bool) -> int:
    """Open the file of a lock, which any user of the machine may have made.

    Linux refuses `O_CREAT` for a file that another user has made in a folder such as /tmp, so it is tried last.

    Raises:
        OSError: It is not there, it is no file of its own, or this user may not read it.
    """
    flags = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        file = _existing(path, flags)
    except FileNotFoundError:
        if not create:
            raise
        try:
            file = os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            os.fchmod(file, 0o666)  # whatever the umask: other users lock it, too
        except FileExistsError:  # another process was quicker
            file = _existing(path, flags)
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:  # of another name, too, it would be written to
        os.close(file)
        raise FileExistsError(0, "it is no file, or has other names", str(path))
    return file


def _existing(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_RDWR)
    except PermissionError:
        return os.open(path, flags | os.O_RDONLY)


def _about_this_process() -> bytes:
    program, *arguments = sys.argv or [""]
    name = Path(program).name
    what = redacted(" ".join(["nst" if name == "__main__.py" else name, *arguments]))
    return json.dumps(asdict(_Holder(os.getpid(), what[:_MOST_CHARACTERS]))).encode()


def _said(data: bytes) -> str:
    """Return what the file of a lock says about its holder; anybody may have written it."""
    try:
        holder = checked_json(_HOLDER, data)
    except ValueError:
        return "another process"
    what = "".join(letter if letter.isprintable() else "?" for letter in holder.what[:_MOST_CHARACTERS])
    return f"process {holder.pid} ({what})"
