"""The store on any other fsspec protocol: memory://, gs://, az://.

fsspec has no create-only write that works on all protocols, so `put(create=True)` checks before it writes. In memory://
a lock makes that exact, because the objects exist in this process only; elsewhere `emulates_create` is true.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from datetime import datetime
from typing import Any

import fsspec

from nst.errors import UserError
from tasks.store.contract import Stat, check_key, check_size
from tasks.store.patience import PassingError, Patience, persist

_LOCK = threading.RLock()
_TOKENS = ("ETag", "etag", "md5Hash", "generation", "content_md5", "mtime", "LastModified", "last_modified", "created")

_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")
"""What fsspec's file systems call the time of the last change."""


class FsspecStore:
    """All objects below `protocol://root` through fsspec.

    Args:
        uri: The root URI.
        patience: Limits of every operation.
    """

    def __init__(self, uri: str, patience: Patience | None = None) -> None:
        self.uri = uri.rstrip("/") if not uri.endswith("://") else uri
        protocol = uri.partition("://")[0]
        try:
            self._fs: Any = fsspec.filesystem(protocol, use_listings_cache=False, skip_instance_cache=True)
        except ImportError as error:
            raise UserError(f"no support for {protocol}:// is installed", hint=str(error)) from error
        self._root: str = self._fs._strip_protocol(self.uri).rstrip("/")  # noqa: SLF001 - fsspec's own name for it
        self._memory = protocol == "memory"
        self.emulates_create = not self._memory
        self._patience = patience or Patience()

    def __repr__(self) -> str:
        return f"FsspecStore({self.uri!r})"

    def __reduce__(self) -> tuple[object, ...]:
        return (FsspecStore, (self.uri, self._patience))

    def url(self, key: str) -> str:
        """Return the full URI of a key."""
        return f"{self.uri}{key}" if self.uri.endswith("/") else f"{self.uri}/{key}"

    def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """Return all bytes; see `Store.get`."""
        if max_bytes is not None and (found := self.head(key)) is not None:
            check_size(found.size, max_bytes, self.url(key))
        return bytes(self._do("get", key, lambda: self._fs.cat_file(self._path(key))))

    def digest(self, key: str, *, max_bytes: int | None = None) -> str:
        """Return the SHA-256; see `Store.digest`."""
        if max_bytes is not None and (found := self.head(key)) is not None:
            check_size(found.size, max_bytes, self.url(key))

        def attempt() -> str:
            with self._fs.open(self._path(key), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return str(self._do("get", key, attempt))

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        """Write an object whole; see `Store.put`."""
        return bool(self._do("put", key, lambda: self._put(key, data, create=create)))

    def head(self, key: str) -> Stat | None:
        """Return size and etag, or None."""
        try:
            info = self._do("head", key, lambda: self._fs.info(self._path(key)))
        except FileNotFoundError:
            return None
        return _stat(key, info) if info["type"] == "file" else None

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""
        with contextlib.suppress(FileNotFoundError):
            self._do("delete", key, lambda: self._fs.rm_file(self._path(key)))

    def list(self, prefix: str) -> list[Stat]:
        """Return the objects whose key starts with `prefix`, sorted by key."""
        folder = f"{self._root}/{prefix}".rpartition("/")[0]
        try:
            found = self._do("list", prefix, lambda: self._fs.find(folder, detail=True))
        except FileNotFoundError:
            return []
        stats = (_stat(path[len(self._root) :].lstrip("/"), info) for path, info in found.items())
        return sorted((stat for stat in stats if stat.key.startswith(prefix)), key=lambda stat: stat.key)

    def _put(self, key: str, data: bytes, *, create: bool) -> bool:
        path = self._path(key)
        with _LOCK if self._memory else contextlib.nullcontext():
            if create and self._fs.exists(path):
                return bool(self._fs.cat_file(path) == data)
            self._fs.pipe_file(path, data)
            if (size := self._fs.info(path)["size"]) != len(data):
                raise PassingError(f"{len(data)} bytes were acknowledged, and {size} are stored")
        return True

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    def _do(self, verb: str, key: str, attempt: Any) -> Any:
        def once() -> Any:
            try:
                with _LOCK if self._memory else contextlib.nullcontext():
                    return attempt()
            except FileNotFoundError:
                raise
            except PermissionError as error:
                raise UserError(
                    f"cannot {verb} {self.url(key)}: access denied", hint="check the credentials"
                ) from error
            except (OSError, TimeoutError) as error:
                raise PassingError(f"{type(error).__name__}: {error}") from error

        return persist(once, self._patience, f"{verb} {self.url(key)}")


def _stat(key: str, info: dict[str, Any]) -> Stat:
    token = next((info[name] for name in _TOKENS if info.get(name)), "")
    token = token.timestamp() if isinstance(token, datetime) else token  # memory:// gives the same time in both forms
    return Stat(key, int(info["size"] or 0), str(token), _modified(info))


def _modified(info: dict[str, Any]) -> float | None:
    """Return when an object was written last, None where the file system does not say."""
    time = next((info[name] for name in _TIMES if info.get(name)), None)
    if isinstance(time, str):
        with contextlib.suppress(ValueError):
            time = datetime.fromisoformat(time)
    if isinstance(time, datetime):
        return time.timestamp()
    return float(time) if isinstance(time, int | float) else None
