"""SHA-256 digests of input files, remembered below the root: planning again reads only what is new or changed.

A digest is remembered by URI, etag (or modification time) and size.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from nst.errors import NstError
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.store import Stat, Store

_KEY: Final = "state/digests.json"
_THREADS: Final = 16


class Digests:
    """The digests known below a root. Losing this memory costs only reading the inputs again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, list[str]] = {}
        self._changed = False
        with contextlib.suppress(FileNotFoundError, ValueError):
            loaded = json.loads(store.get(_KEY))
            self._known = loaded if isinstance(loaded, dict) else {}

    def of(self, stats: Iterable[Stat]) -> list[str]:
        """Return the digest of each object, reading those that are new or changed."""
        wanted = list(stats)
        missing = [stat for stat in wanted if self._known.get(stat.key, [""])[0] != _token(stat)]
        if missing:
            with ThreadPoolExecutor(min(_THREADS, len(missing))) as threads:
                for stat, digest in zip(missing, threads.map(_digest, missing), strict=True):
                    self._known[stat.key] = [_token(stat), digest]
            self._changed = True
        return [self._known[stat.key][1] for stat in wanted]

    def save(self) -> None:
        """Write the digests that were computed; a store that refuses costs only speed."""
        if self._changed:
            with contextlib.suppress(NstError, OSError):
                self._store.put(_KEY, json.dumps(self._known).encode())
            self._changed = False


def _token(stat: Stat) -> str:
    return f"{stat.etag}:{stat.size}"


def _digest(stat: Stat) -> str:
    return hashlib.sha256(read_uri(stat.key)).hexdigest()
