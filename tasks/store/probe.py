"""Whether a store keeps create-only writes: tried, never believed.

Some servers answer 200 to `If-None-Match: *` and overwrite (rclone serve s3, s3rver); others check first and write
later, so that racers both win (Swift). The catalog asks here and falls back to a single publisher.
"""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.store.contract import Store

PREFIX = "probe/"
RACERS = 6
ROUNDS = 20
"""Swift 2.38 has a single winner in every second round, with 4 racers as with 12: 6 rounds once took it for correct."""


@dataclass(frozen=True, slots=True)
class StoreCapabilities:
    """What a store was seen to do.

    Attributes:
        create_only: Of many writers that create one key, exactly one wins, always so far.
        detail: The finding in words.
    """

    create_only: bool
    detail: str


_FOUND: dict[str, StoreCapabilities] = {}


def probe(store: Store) -> StoreCapabilities:
    """Return what `store` can do, tried once per process and root (1-3 s; leaves no object behind).

    Raises:
        StorageError, UserError: The store does not answer or refuses; nothing is remembered then.
    """
    if store.uri not in _FOUND:
        _FOUND[store.uri] = _try(store)
    return _FOUND[store.uri]


def forget() -> None:
    """Forget all findings, e.g. after the endpoint changed."""
    _FOUND.clear()


def _try(store: Store) -> StoreCapabilities:
    folder = f"{PREFIX}{uuid.uuid4().hex}/"
    try:
        if not store.put(f"{folder}first", b"one", create=True):
            return StoreCapabilities(create_only=False, detail="a new key was refused")
        second = store.put(f"{folder}first", b"two", create=True)
        if second or store.get(f"{folder}first") != b"one":
            return StoreCapabilities(create_only=False, detail="the store ignores create-only writes and overwrites")
        if store.emulates_create:
            return StoreCapabilities(create_only=False, detail="the store has no create-only write; nst can only look")
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
