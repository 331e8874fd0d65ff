"""Who takes part in the sweeps and trainings below a root, by the heartbeats of their processes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydantic import FiniteFloat, TypeAdapter

from nst.yaml.json_text import checked_json
from tasks.heartbeat import FRESH_S
from tasks.processes import Process

if TYPE_CHECKING:
    from tasks.store import Store

_PREFIX: Final = "state/running/"


@dataclass(frozen=True, slots=True)
class Participant:
    """A process that takes part, or did until it fell silent.

    Attributes:
        id: Id of the participant, as events and claims name it.
        host: Name of its machine; "" where the system does not say.
        pid: Number of its process there.
        silent_s: Age of its last heartbeat, seconds, by the clocks of both machines, which may differ.
    """

    id: str
    host: str
    pid: int
    silent_s: float

    @property
    def is_alive(self) -> bool:
        """Whether its heartbeat is fresh; another one is dead, or asleep, or cut off from the store."""
        return abs(self.silent_s) < FRESH_S


@dataclass(frozen=True, slots=True)
class _Beat:
    """What is read of a heartbeat."""

    at: FiniteFloat
    process: Process = field(default_factory=Process)


_BEAT: Final = TypeAdapter(_Beat)


def participants(store: Store, of: str) -> list[Participant]:
    """Return who takes part in a sweep, those that were seen last first; who is known to have ended is left out.

    Args:
        store: The objects of the root.
        of: Id of the sweep, or `tasks.heartbeat.TRAININGS`: all trainings below a root share their participants.
    """
    prefix, found = f"{_PREFIX}{of}/", []
    for stat in store.list(prefix):
        try:
            beat = checked_json(_BEAT, store.get(stat.key))
        except (FileNotFoundError, ValueError):  # it ended, or no run wrote this
            continue
        if not beat.process.is_gone:
            name = stat.key.removeprefix(prefix).removesuffix(".json")
            host = beat.process.machine.partition(" ")[0]
            found.append(Participant(name, host, beat.process.pid, time.time() - beat.at))
    return sorted(found, key=lambda each: each.silent_s)
