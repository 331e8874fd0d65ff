"""SHA-256 digests of input files, remembered below the root: planning again reads only what is new or changed.

A digest is remembered by URI, etag (or times and inode of a local file) and size, and beside it what was seen in the
file (`tasks.inputs.looking`). Of the query of a link only a hash is kept, since it may be a signature.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError, UserError
from nst.redaction import redacted
from nst.yaml.json_text import from_json
from tasks.inputs.uris import digest_uri
from tasks.store.contract import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.store import Stat, Store

_KEY: Final = "state/digests.json"
_THREADS: Final = 16
MOST_BYTES: Final = 2 * 1024**3
"""The largest file of any kind that is read; images are smaller."""


class Digests:
    """The digests known below a root. Losing this memory costs only reading the inputs again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, list[str]] = {}
        self._changed = False
        with contextlib.suppress(FileNotFoundError, UserError, ValueError):
            self._known = _usable(from_json(store.get(_KEY)))

    def of(self, stats: Iterable[Stat]) -> list[str]:
        """Return the digest of each object, reading those that are new or changed.

        Raises:
            UnreadableError: One has more than `MOST_BYTES`, its bytes come too slowly, or no site gives any.
            UserError, StorageError: One cannot be read.
        """
        found = self.each_of(stats, MOST_BYTES)
        for digest in found:
            if isinstance(digest, UnreadableError):
                raise digest
        return [str(digest) for digest in found]

    def each_of(self, stats: Iterable[Stat], max_bytes: int) -> list[str | UnreadableError]:
        """Return the digest of each object as `of`, or why its bytes were not read."""
        wanted = list(stats)
        missing = {stat.key: stat for stat in wanted if self._remembered(stat) is None}
        read: dict[str, str | UnreadableError] = {}
        if missing:
            with ThreadPoolExecutor(min(_THREADS, len(missing))) as threads:
                read = dict(zip(missing, threads.map(lambda key: _digest(key, max_bytes), missing), strict=True))
        for key, digest in read.items():
            if isinstance(digest, str) and missing[key].etag:
                self._known[_name(key)] = [_token(missing[key]), digest, ""]
                self._changed = True
        return [self._remembered(stat) or read[stat.key] for stat in wanted]

    def save(self) -> None:
        """Write the digests that were computed; a store that refuses costs only speed."""
        if self._changed:
            with contextlib.suppress(NstError, OSError):
                self._store.put(_KEY, json.dumps(self._known).encode())
            self._changed = False

    def seen(self, stat: Stat) -> str:
        """Return what was noted of a file with `note` when it had these bytes; "" for nothing."""
        token, _, seen = self._known.get(_name(stat.key), ("", "", ""))
        return seen if stat.etag and token == _token(stat) else ""

    def note(self, stat: Stat, seen: str) -> None:
        """Remember what was seen in a file, as long as its digest is remembered."""
        entry = self._known.get(_name(stat.key))
        if entry and stat.etag and entry[0] == _token(stat):
            entry[2], self._changed = seen, True

    def _remembered(self, stat: Stat) -> str | None:
        token, digest, _ = self._known.get(_name(stat.key), ("", "", ""))
        return digest if stat.etag and token == _token(stat) else None


def _usable(loaded: Any) -> dict[str, list[str]]:
    """Return what is a digest in a memory that was read; anything else may stand in a damaged one.

    An earlier version wrote two texts, and nothing of what it had seen.
    """
    found = loaded.items() if isinstance(loaded, dict) else ()
    return {
        name: [*value, ""][:3]
        for name, value in found
        if isinstance(value, list) and len(value) in {2, 3} and all(isinstance(part, str) for part in value)
    }


def _name(uri: str) -> str:
    """Return what a file is remembered by; links that differ in their query alone are different files."""
    shown = redacted(uri)
    return shown if shown == uri else f"{shown}#{hashlib.sha256(uri.encode()).hexdigest()[:16]}"


def _token(stat: Stat) -> str:
    return f"{stat.etag}:{stat.size}"


def _digest(uri: str, max_bytes: int) -> str | UnreadableError:
    try:
        return digest_uri(uri, max_bytes=max_bytes)
    except UnreadableError as error:
        return error
