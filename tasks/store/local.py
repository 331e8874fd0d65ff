"""The store on a file system: write aside, fsync, then link (create) or rename (replace), then fsync the folder.

No reader ever sees part of an object, and no crash or full disk leaves part of one. Bytes are first written to a file
with a hidden name in the folder of the object (another folder may be on another disk). `list` does not show such files,
and removes those that a killed writer left a day ago.

A name holds a file, which is an object, or nothing, or something else (a folder, a pipe, a link to nothing). `_look`
alone says which, so that no two operations differ: something else is neither read as absent nor taken for an object
when it is written, but named in an error.
"""

# ruff: noqa: PTH100, PTH102, PTH105, PTH108, PTH110, PTH112, PTH114, PTH116, PTH118, PTH120, PTH123, PTH202, PTH208
# os.path and not pathlib: this runs per cell and per record, at a third of the time.

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from nst.errors import StorageError, UserError
from tasks.store.contract import Stat, UnreadableError, check_key, check_size
from tasks.store.patience import PassingError, Patience, persist

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

ASIDE = ".nst-aside-"
NOTHING: Final = "nothing"
FILE: Final = "a file"
FOLDER: Final = "a folder"
LEFTOVER_SECONDS = 86_400.0
_PASSING = {errno.ESTALE, errno.EBUSY, errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT, errno.EINTR}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


class LocalStore:
    """A folder as a store.

    Args:
        root: The folder; made with the first put, and not again: one that is gone was moved, or its disk is away.
        patience: Limits of the retries after passing errors of network file systems.
    """

    def __init__(self, root: str | Path, patience: Patience | None = None) -> None:
        self.root = os.path.abspath(root)
        self.uri = f"file://{self.root}".rstrip("/")
        self.emulates_create = False
        self._patience = patience or Patience()
        self._was_there = os.path.isdir(self.root)

    def __repr__(self) -> str:
        return f"LocalStore({self.root!r})"

    def url(self, key: str) -> str:
        """Return file:///root/key, not percent-encoded, since fsspec and pandas take it literally."""
        return f"{self.uri}/{key}"

    def path(self, key: str) -> str:
        """Return the file of a key."""
        return os.path.join(self.root, check_key(key))

    def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """Return all bytes of a regular file, not of a pipe or device; see `Store.get`."""
        return persist(lambda: self._attempt_get(key, max_bytes), self._patience, f"get {self.url(key)}")

    def digest(self, key: str, *, max_bytes: int | None = None) -> str:
        """Return the SHA-256; see `Store.digest`."""
        return persist(lambda: self._attempt_digest(key, max_bytes), self._patience, f"get {self.url(key)}")

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        """Write an object whole; see `Store.put`."""
        return persist(lambda: self._attempt_put(key, data, create=create), self._patience, f"put {self.url(key)}")

    def head(self, key: str) -> Stat | None:
        """Return size and etag, or None."""
        return persist(lambda: self._attempt_head(key), self._patience, f"head {self.url(key)}")

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing. Folders are kept."""
        persist(lambda: self._attempt_delete(key), self._patience, f"delete {self.url(key)}")

    def _attempt_get(self, key: str, max_bytes: int | None) -> bytes:
        with self._opened(key, max_bytes) as file:
            data = file.read(-1 if max_bytes is None else max_bytes + 1)
        check_size(len(data), max_bytes, self.url(key))  # it may have grown
        return data

    def _attempt_digest(self, key: str, max_bytes: int | None) -> str:
        with self._opened(key, max_bytes) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @contextlib.contextmanager
    def _opened(self, key: str, max_bytes: int | None) -> Iterator[BufferedReader]:
        found = self._attempt_head(key)
        if found is None:
            raise FileNotFoundError(self.url(key))
        check_size(found.size, max_bytes, self.url(key))
        with _translated("read", self.url(key)), open(self.path(key), "rb") as file:
            yield file

    def _attempt_put(self, key: str, data: bytes, *, create: bool) -> bool:
        path = self.path(key)
        with _translated("write", self.url(key)):
            if self._found(key) is not None and create:
                return self._holds(path, data)
            aside = self._write_aside(os.path.dirname(path), data)
            try:
                if not create:
                    os.replace(aside, path)
                elif not self._link(aside, path):
                    return self._holds(path, data)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(aside)
            _sync_folder(os.path.dirname(path))
            return True

    def _write_aside(self, folder: str, data: bytes) -> str:
        try:
            aside = _write_aside(folder, data)
        except FileNotFoundError:
            if self._was_there and not os.path.isdir(self.root):
                raise UserError(f"{self.uri} is gone", hint="was it moved, or is its disk away?") from None
            _make_folder(folder)
            aside = _write_aside(folder, data)
        self._was_there = True
        return aside

    def _link(self, aside: str, path: str) -> bool:
        """Give the finished file its name; return False if the name is taken."""
        try:
            os.link(aside, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            self.emulates_create = True  # FAT and some network file systems have no hard links: the probe reports it
            if os.path.lexists(path):
                return False
            os.replace(aside, path)
        return True

    def _holds(self, path: str, data: bytes) -> bool:
        try:
            return os.path.getsize(path) == len(data) and Path(path).read_bytes() == data
        except FileNotFoundError:
            raise PassingError("the object came and went while it was being created") from None

    def _attempt_head(self, key: str) -> Stat | None:
        with _translated("read", self.url(key)):
            found = self._found(key)
            return None if found is None else stat_of(key, found)

    def _found(self, key: str) -> os.stat_result | None:
        """Return what the system says of the file of a key, None if the name holds nothing.

        Raises:
            UnreadableError: The name holds something else.
            _BrokenLinkError: It lies below a link to nothing.
        """
        path = self.path(key)
        what, found = _look(path)
        if what == NOTHING:
            _check_links(path)
            return None
        if what != FILE:
            raise UnreadableError(f"{self.url(key)} is {what}, not a file", hint="move it out of the way")
        return found

    def _attempt_delete(self, key: str) -> None:
        with _translated("delete", self.url(key)), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.path(key))

    def _attempt_list(self, prefix: str) -> list[Stat]:
        folder, _, begin = prefix.rpartition("/")
        with _translated("list", self.url(prefix)):
            _check_links(os.path.join(self.root, folder))
            stats = [stat_of(key, found) for key, what, found in self._walk(folder, begin) if what == FILE and found]
            return sorted(stats, key=lambda found: found.key)

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield every name below the root, folders included, with what it holds, in no order."""
        with _translated("list", self.uri):
            yield from ((key, what) for key, what, _ in self._walk(""))

    def _walk(
        self, folder: str, begin: str = "", above: frozenset[str] = frozenset()
    ) -> Iterator[tuple[str, str, os.stat_result | None]]:
        """Yield the names below a folder, at any depth, with what `_look` says of them.

        Args:
            folder: Key of the folder.
            begin: How the names in this folder begin, those below it not among them.
            above: The real paths of the folders that it was reached through.
        """
        here = os.path.join(self.root, folder)
        real = os.path.realpath(here)
        if real in above:  # a link led back
            return
        try:
            names = os.listdir(here)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in names:
            path = os.path.join(here, name)
            if name.startswith(ASIDE):
                _remove_leftover(path)
                continue
            if not name.startswith(begin):
                continue
            key = f"{folder}/{name}" if folder else name
            what, found = _look(path)
            if what != NOTHING:  # else it was deleted while it is listed
                yield key, what, found
            if what == FOLDER:
                yield from self._walk(key, above=above | {real})

    def list(self, prefix: str) -> list[Stat]:
        """Return the objects whose key starts with `prefix`, sorted by key."""
        return persist(lambda: self._attempt_list(prefix), self._patience, f"list {self.url(prefix)}")


def stat_of(key: str, found: os.stat_result) -> Stat:
    """Return a file's `Stat` under the name `key`.

    Anybody can set the time of the last change of the bytes; that of the last change of the file is the system's.
    """
    etag = f"{found.st_mtime_ns:x}-{found.st_ctime_ns:x}-{found.st_size:x}-{found.st_ino:x}"
    return Stat(key, found.st_size, etag, found.st_mtime)


class _BrokenLinkError(OSError):
    """A link on the way to a name leads nowhere: what lies behind it is unknown, not absent."""


def _look(path: str) -> tuple[str, os.stat_result | None]:
    """Return what a name holds, and what the system says of it.

    It is `NOTHING`, `FILE`, `FOLDER`, or else words for what nst can use for nothing. Links are followed.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ("a link to nothing" if os.path.islink(path) else NOTHING), None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return "a link to itself", None
    if stat.S_ISREG(found.st_mode):
        return FILE, found
    return (FOLDER if stat.S_ISDIR(found.st_mode) else "a pipe or device"), found


def _check_links(path: str) -> None:
    """Make sure that a path is absent or there, and not behind a link that leads nowhere, as to a disk that is away.

    Raises:
        _BrokenLinkError: The nearest part of the path that there is, is such a link.
    """
    while not os.path.lexists(path):
        path = os.path.dirname(path)
    if not os.path.exists(path):
        raise _BrokenLinkError(errno.ENOENT, f"{path} is a link to nothing")


def _write_aside(folder: str, data: bytes) -> str:
    """Write `data` to a new hidden file in `folder`, down to the disk, and return its path."""
    aside = os.path.join(folder, ASIDE + uuid.uuid4().hex)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(aside, flags, 0o666)
    try:
        with open(descriptor, "wb", buffering=0) as file:
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
    return aside


def _make_folder(folder: str) -> None:
    """Make a folder and its parents, down to the disk, so that they survive a power cut."""
    parent = os.path.dirname(folder)
    if not os.path.isdir(parent):
        _make_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(folder)
        _sync_folder(parent)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:  # some file systems cannot sync folders
            raise
    finally:
        os.close(descriptor)


def _remove_leftover(path: str) -> None:
    with contextlib.suppress(OSError):
        if time.time() - os.stat(path).st_mtime > LEFTOVER_SECONDS:
            os.unlink(path)


@contextlib.contextmanager
def _translated(verb: str, url: str) -> Iterator[None]:
    """Turn errors of the system into those of nst; what is read may be absent, which stays a FileNotFoundError."""
    try:
        yield
    except OSError as error:
        if verb == "read" and isinstance(error, FileNotFoundError):
            raise
        _raise(error, verb, url)


def _raise(error: OSError, verb: str, url: str) -> NoReturn:
    text = f"cannot {verb} {url}: {error.strerror or error}"
    if error.errno in _PASSING:
        raise PassingError(text) from error
    if error.errno in _FULL:
        raise StorageError(
            text, hint="free some space or choose another root; nothing half-written was left"
        ) from error
    if error.errno == errno.ENOENT:  # of a folder that cannot be made, or a link to nothing
        raise UserError(text, hint="is the disk mounted?") from error
    if isinstance(error, PermissionError) or error.errno in {
        errno.EROFS,
        errno.EISDIR,
        errno.ENOTDIR,
        errno.ENAMETOOLONG,
    }:
        raise UserError(text, hint="choose a root that you may read and write") from error
    raise StorageError(text) from error
