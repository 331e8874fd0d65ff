"""What every object store promises to the rest of nst: six operations on whole objects.

Objects are written in one piece and never appended to; a reader sees all of the old bytes or all of the new ones.
Keys are relative to the root, "/"-separated, without empty, "." or ".." parts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from nst.errors import InputError


class UnreadableError(InputError):
    """A file or object that cannot be read.

    It has too many bytes, its bytes come too slowly, its name holds no file, or the site's answer is none.
    """


@dataclass(frozen=True, slots=True)
class Stat:
    """One object as a listing shows it.

    Attributes:
        key: Key relative to the store's root; a full URI where `tasks.inputs.uris` made it.
        size: Bytes.
        etag: A token that changes when the bytes change (S3's ETag; times, size and inode of a local file); "" where
            there is none.
        modified: When it was written last, by the clock of the store, seconds since the epoch; None where the store
            does not say. Equal bytes that are written again change it, and on S3 leave the token as it is.
    """

    key: str
    size: int
    etag: str
    modified: float | None = field(default=None, compare=False)


@runtime_checkable
class Store(Protocol):
    """All objects below one root URI.

    Every operation is safe to call from several threads and is retried as `Patience` says. Errors: `StorageError`
    when the store did not answer well before the deadline, `UserError` when it refused (credentials, no such bucket).
    """

    @property
    def uri(self) -> str:
        """The root with its protocol and without a trailing slash: file:///abs, s3://bucket/prefix, memory://x."""

    @property
    def emulates_create(self) -> bool:
        """Whether `put(create=True)` checks first and writes later, so that two writers may both succeed."""

    def get(self, key: str, *, max_bytes: int | None = None) -> bytes:
        """Return all bytes of an object.

        Raises:
            FileNotFoundError: There is no such object.
            UnreadableError: It has more than `max_bytes`, and is not fetched.
        """

    def digest(self, key: str, *, max_bytes: int | None = None) -> str:
        """Return the SHA-256 of an object, hex, read in pieces; errors as `get`."""

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        """Write an object whole.

        Returns:
            True if the store has shown that the object holds exactly `data` now, by its checksum or else by its size.
            With `create`, False if it held other bytes before. A retry that finds the bytes of its own first attempt,
            whose answer was lost, returns True. Therefore two writers of *equal* bytes both get True; who needs a
            single winner writes something unique into the bytes.
        """

    def list(self, prefix: str) -> list[Stat]:
        """Return every object whose key starts with the string `prefix`, at any depth, sorted by key."""

    def delete(self, key: str) -> None:
        """Remove an object; if there is none, do nothing."""

    def head(self, key: str) -> Stat | None:
        """Return the size and etag of an object, or None if there is no such object."""

    def url(self, key: str) -> str:
        """Return the full URI of a key, as pandas and people can use it."""


def check_size(size: int, max_bytes: int | None, url: str) -> None:
    """Refuse an object that is too large.

    Raises:
        UnreadableError: It has more than `max_bytes`.
    """
    if max_bytes is not None and size > max_bytes:
        raise UnreadableError(f"{url} has {size:,} bytes, at most {max_bytes:,} are read")


def check_key(key: str) -> str:
    """Return `key` if it lies below the root.

    Raises:
        ValueError: It does not, which is a bug of the caller and not a mistake of the user.
    """
    if not key or any(part in {"", ".", ".."} for part in key.split("/")) or "\0" in key:
        raise ValueError(f"not a key: {key!r}")
    return key
