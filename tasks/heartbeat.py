"""Small objects below the root that say who runs a sweep now: one for each run of it, written again every 15 s.

`nst status` reads them, and the runs of one sweep, its participants, learn from them who is alive (`tasks.claims`).
Rows depend on nothing here.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pydantic import FiniteFloat, TypeAdapter

from nst.errors import StorageError, UserError
from nst.yaml.json_text import checked_json
from tasks.processes import Process, this_process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tasks.store import Store

INTERVAL_S: Final = 15.0
FRESH_S: Final = 60.0
"""Age up to which a heartbeat counts, and how far in the future it may be, since clocks differ; and how long one may
stay as it is while it is watched."""

TRAININGS: Final = "trainings"
"""In place of a sweep's id: whoever trains models below a root."""

_PREFIX: Final = "state/running/"


@dataclass(frozen=True, slots=True)
class _Beat:
    """A heartbeat as its object holds it."""

    at: FiniteFloat
    """When it was written, seconds since the epoch of the writer's clock."""
    count: int = 0
    """How many were written before it."""
    process: Process = field(default_factory=Process)


_BEAT: Final = TypeAdapter(_Beat)


@contextlib.contextmanager
def beating(store: Store, sweep_id: str) -> Iterator[str]:
    """Keep the heartbeat of a participant of a sweep fresh while the context lasts, and remove it at the end.

    Yields:
        The id of the participant; its first heartbeat is there.

    Raises:
        StorageError, UserError: The first heartbeat could not be written. Later ones may fail.
    """
    participant = uuid.uuid4().hex[:12]
    key = f"{_PREFIX}{sweep_id}/{participant}.json"
    process = this_process()
    stop = threading.Event()

    def write(count: int) -> None:
        store.put(key, json.dumps(asdict(_Beat(time.time(), count, process))).encode())

    def beat() -> None:
        count = 0
        while not stop.wait(INTERVAL_S):
            count += 1
            with contextlib.suppress(StorageError, UserError):  # credentials that expire are renewed meanwhile
                write(count)

    write(0)
    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield participant
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(StorageError, UserError):
            store.delete(key)


class _Seen(NamedTuple):
    """What was seen of a heartbeat, and since when it has been so."""

    etag: str
    data: bytes
    """As it was when it was read last: of a store that has etags, the first one."""
    since: float


class Watch:
    """Tells which participants of a sweep are alive, by this process's own clock alone: others' may be minutes off.

    A participant is dead when it has no heartbeat, when its heartbeat has stayed the same for `FRESH_S` of watching, or
    when its process ran on this machine and is gone.

    Args:
        store: The objects of the root.
        sweep_id: The sweep.
        clock: A clock of this process that never goes back, seconds.
        is_gone: Whether a process is known to have ended.
    """

    def __init__(
        self,
        store: Store,
        sweep_id: str,
        clock: Callable[[], float] = time.monotonic,
        is_gone: Callable[[Process], bool] = lambda process: process.is_gone,
    ) -> None:
        self._store, self._prefix, self._clock, self._is_gone = store, f"{_PREFIX}{sweep_id}/", clock, is_gone
        self._seen: dict[str, _Seen] = {}

    def look(self) -> set[str]:
        """List the heartbeats and return the ids of the participants that are alive."""
        seen, alive = {}, set()
        for stat in self._store.list(self._prefix):
            before = self._seen.get(stat.key)
            if before and before.etag and stat.etag:  # which tell that it was written again; the process is the same
                data, is_same = before.data, stat.etag == before.etag
            else:
                try:
                    data = self._store.get(stat.key)
                except FileNotFoundError:  # it ended
                    continue
                is_same = before is not None and before.data == data
            now = self._clock()
            since = before.since if before and is_same else now
            seen[stat.key] = _Seen(stat.etag, data, since)
            if now - since < FRESH_S and not self._is_gone(_writer_of(data)):
                alive.add(stat.key.removeprefix(self._prefix).removesuffix(".json"))
        self._seen = seen
        return alive


def _writer_of(data: bytes) -> Process:
    """Return the process that wrote a heartbeat, one that nobody knows if no run wrote it."""
    try:
        return checked_json(_BEAT, data).process
    except ValueError:
        return Process()


def refuse_while_running(store: Store) -> None:
    """Refuse to take rows away while somebody counts on them.

    Raises:
        UserError: A sweep is running below the root.
    """
    if running := running_sweeps(store):
        names = ", ".join(sorted(sweep_id[:8] for sweep_id in running))
        hint = f"wait until it ends; a run that was killed on another machine counts as running for {FRESH_S:.0f} s"
        raise UserError(f"sweep {names} is running below {store.uri}", hint=hint)


def running_sweeps(store: Store) -> set[str]:
    """Return the ids of the sweeps that somebody runs now (`participants`)."""
    return set(participants(store))


def participants(store: Store) -> Counter[str]:
    """Return how many runs take part in each sweep: fresh heartbeats of processes that are not known to be gone."""
    running = Counter[str]()
    for stat in store.list(_PREFIX):
        with contextlib.suppress(FileNotFoundError, ValueError):  # it ended, or no run wrote this
            beat = checked_json(_BEAT, store.get(stat.key))
            if abs(time.time() - beat.at) < FRESH_S and not beat.process.is_gone:
                # Older versions of nst have one heartbeat for a sweep, and no folder.
                running[stat.key.removeprefix(_PREFIX).removesuffix(".json").split("/")[0]] += 1
    del running[TRAININGS]
    return running


def nobody_is_left(store: Store, sweep_id: str) -> bool:
    """Return whether a sweep has no participant any more; the heartbeats of those that are gone are removed.

    One that is merely silent may wake up, and counts.
    """
    is_left = False
    for stat in store.list(f"{_PREFIX}{sweep_id}/"):
        with contextlib.suppress(FileNotFoundError):  # it ended
            if _writer_of(store.get(stat.key)).is_gone:
                store.delete(stat.key)
            else:
                is_left = True
    return not is_left


def heartbeats_of_sweep(store: Store, sweep_id: str) -> list[str]:
    """Return the keys of the heartbeats of a sweep."""
    return [stat.key for stat in store.list(f"{_PREFIX}{sweep_id}/")]
