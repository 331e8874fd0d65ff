"""A small object below the root that says that a sweep is being run now; `nst status` reads it.

Nothing depends on it: it is overwritten every few seconds and ignored when it is old.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import FiniteFloat, TypeAdapter

from nst.errors import StorageError, UserError
from nst.yaml.json_text import checked_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.store import Store

INTERVAL_S: Final = 15.0
FRESH_S: Final = 60.0
"""Age up to which a heartbeat counts, and how far in the future it may be, since clocks differ."""

_PREFIX: Final = "state/running/"


@dataclass(frozen=True, slots=True)
class _Beat:
    """A heartbeat as its object holds it: when it was written, seconds since the epoch."""

    at: FiniteFloat


_BEAT: Final = TypeAdapter(_Beat)


@contextlib.contextmanager
def beating(store: Store, sweep_id: str) -> Iterator[None]:
    """Keep the heartbeat of a sweep fresh while the context lasts, and remove it at the end."""
    key = f"{_PREFIX}{sweep_id}.json"
    stop = threading.Event()

    def beat() -> None:
        while True:
            with contextlib.suppress(StorageError):
                store.put(key, json.dumps({"at": time.time()}).encode())
            if stop.wait(INTERVAL_S):
                return

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(StorageError):
            store.delete(key)


def refuse_while_running(store: Store) -> None:
    """Refuse to take rows away while somebody counts on them.

    Raises:
        UserError: A sweep is running below the root.
    """
    if running := running_sweeps(store):
        names = ", ".join(sorted(sweep_id[:8] for sweep_id in running))
        hint = f"wait until it ends; a run that was killed counts as running for {FRESH_S:.0f} s"
        raise UserError(f"sweep {names} is running below {store.uri}", hint=hint)


def running_sweeps(store: Store) -> set[str]:
    """Return the ids of the sweeps whose heartbeat is fresh."""
    running = set()
    for stat in store.list(_PREFIX):
        with contextlib.suppress(FileNotFoundError, ValueError):  # it ended, or no run wrote this
            if abs(time.time() - checked_json(_BEAT, store.get(stat.key)).at) < FRESH_S:
                running.add(stat.key.removeprefix(_PREFIX).removesuffix(".json"))
    return running
