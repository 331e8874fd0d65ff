"""Whether a store keeps create-only writes: it is tried out, since the documentation of a server proves nothing.

Some servers answer 200 to `If-None-Match: *` and overwrite (rclone serve s3, s3rver); others check first and write
later, so that two racing writers both succeed (Swift). On such stores the catalog works with a single publisher.

A probe takes hundreds of requests. That a store keeps create-only writes is therefore remembered for a day, in an
object of the store itself, which a new server behind an old address does not have. That it does not keep them is never
remembered.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.yaml.json_text import from_json
from tasks.store.contract import UnreadableError

if TYPE_CHECKING:
    from tasks.store.contract import Store

PREFIX = "probe/"
REMEMBERED: Final = "state/create-only.json"
REMEMBERED_SECONDS: Final = 86_400.0
_MOST_BYTES: Final = 4096
RACERS = 6
ROUNDS = 20
"""Swift 2.38 has a single winner in every second round, with 4 racers as with 12: 6 rounds once took it for correct."""


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What the probe of a store showed.

    Attributes:
        create_only: Whether in every race of writers that create one key exactly one succeeded.
        detail: The finding as text, for `nst doctor`.
    """

    create_only: bool
    detail: str


_FOUND: dict[str, StoreCapabilities] = {}


def probe(store: Store) -> StoreCapabilities:
    """Try out what a store can do, once per process and root; takes 1 to 3 s and leaves no object behind.

    Raises:
        StorageError, UserError: The store does not answer or refuses; the next call tries again.
    """
    if store.uri not in _FOUND:
        _FOUND[store.uri] = _try(store)
    return _FOUND[store.uri]


def keeps_create_only(store: Store) -> bool:
    """Return whether a store keeps create-only writes, from a probe that is at most a day old; errors as `probe`."""
    if store.uri in _FOUND:
        return _FOUND[store.uri].create_only
    if is_remembered(store):
        return True
    if not probe(store).create_only:
        return False
    remember(store)
    return True


def remember(store: Store) -> None:
    """Let a store remember that it was probed just now and keeps create-only writes."""
    store.put(REMEMBERED, json.dumps({"uri": store.uri, "probed_at": time.time()}).encode())


def is_remembered(store: Store) -> bool:
    """Return whether a probe of the last day is remembered; a copy of another root's memory counts for nothing."""
    try:
        found = from_json(store.get(REMEMBERED, max_bytes=_MOST_BYTES))
    except (FileNotFoundError, UnreadableError, ValueError):
        return False
    if not isinstance(found, dict) or found.get("uri") != store.uri:
        return False
    probed_at = found.get("probed_at")
    return isinstance(probed_at, float) and 0 <= time.time() - probed_at < REMEMBERED_SECONDS


def _try(store: Store) -> StoreCapabilities:
    folder = f"{PREFIX}{uuid.uuid4().hex}/"
    created = store.put(f"{folder}first", b"one", create=True)  # a store that does not answer is asked nothing else
    try:
        if not created:
            return StoreCapabilities(create_only=False, detail="a new key was refused")
        second = store.put(f"{folder}first", b"two", create=True)
        if second or store.get(f"{folder}first") != b"one":
            return StoreCapabilities(create_only=False, detail="the store ignores create-only writes and overwrites")
        if store.emulates_create:
            return StoreCapabilities(
                create_only=False, detail="the store has no create-only write; nst can only check first"
            )
        return _race(store, folder)
    finally:
        for stat in store.list(folder):
            store.delete(stat.key)


def _race(store: Store, folder: str) -> StoreCapabilities:
    """Let `RACERS` threads create one key at the same moment, `ROUNDS` times."""
    gate = threading.Barrier(RACERS)

    def run(number: int, key: str) -> bool:
        gate.wait(timeout=60)
        return store.put(key, b"racer %d" % number, create=True)

    with ThreadPoolExecutor(RACERS) as pool:
        for turn in range(ROUNDS):
            key = f"{folder}race-{turn}"
            won = list(pool.map(run, range(RACERS), [key] * RACERS))
            held = store.get(key)
            if sum(won) != 1 or held != b"racer %d" % won.index(True):
                detail = f"{sum(won)} of {RACERS} writers were told that they had created one key"
                return StoreCapabilities(create_only=False, detail=detail)
    return StoreCapabilities(create_only=True, detail=f"one winner in each of {ROUNDS} races of {RACERS}")
