"""Deterministic simulation of claims: participants that are slow, die, sleep or end early divide the stretches.

Each participant, and its heartbeat, is a greenlet that runs the real code of `tasks.claims` and `tasks.heartbeat`; time
is virtual, and one seed decides how long everything takes and what goes wrong: an answer that is lost and asked for
again, a store that gives up before or after the effect of a request, clocks that are minutes apart and go at other
rates. A participant is *punctual* if it was alive all the time, and so were its heartbeats.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import random
import uuid
from collections import Counter, defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import greenlet

from nst.errors import StorageError
from tasks.claims import Claims
from tasks.heartbeat import INTERVAL_S, Watch
from tasks.store import Stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tasks.processes import Process

KINDS = ("punctual", "slow", "dies", "sleeps", "stops")
LATEST_S = 20_000.0
"""When a simulation gives up: no seed needs a third of it."""


@dataclass
class World:
    """The store's objects, virtual time, and what was computed."""

    seed: int
    objects: dict[str, bytes] = field(default_factory=dict)
    now: float = 0.0
    waiting: list[tuple[float, int, Any]] = field(default_factory=list)
    done: set[int] = field(default_factory=set)
    computed: defaultdict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    stats: Counter[str] = field(default_factory=Counter)
    gone: set[int] = field(default_factory=set)
    """Numbers of processes that have ended, and of which others on their machine can tell."""

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.order = count()
        self.hub = greenlet.getcurrent()

    def sleep(self, seconds: float) -> None:
        """Let the others run for some time."""
        self.start(greenlet.getcurrent(), seconds)
        self.hub.switch()

    def start(self, actor: Any, after: float = 0.0) -> None:
        heapq.heappush(self.waiting, (self.now + after, next(self.order), actor))

    def run(self) -> None:
        while self.waiting and self.now < LATEST_S:
            self.now, _, actor = heapq.heappop(self.waiting)
            actor.switch()


@dataclass
class SimulatedStore:
    """One participant's view of the store; it answers late, and sometimes not at all."""

    world: World
    create_only: bool = True
    has_etags: bool = True

    def _apply(self, key: str, data: bytes, *, create: bool) -> bool:
        objects = self.world.objects
        if create and self.create_only and key in objects:
            return objects[key] == data
        objects[key] = data
        return True

    def _wait(self) -> None:
        self.world.stats["requests"] += 1
        self.world.sleep(self.world.dice.expovariate(10.0))

    def put(self, key: str, data: bytes, *, create: bool = False) -> bool:
        self._wait()
        chance = self.world.dice.random()
        if chance < 0.01:
            self._give_up()
        done = self._apply(key, data, create=create)
        if chance > 0.98:
            self.world.stats["lost answers"] += 1
            self._wait()
            done = self._apply(key, data, create=create)
        self._wait()
        if chance < 0.02:
            self._give_up()
        return done

    def get(self, key: str) -> bytes:
        self._wait()
        if key not in self.world.objects:
            raise FileNotFoundError(key)
        return self.world.objects[key]

    def list(self, prefix: str) -> list[Stat]:
        self._wait()
        if self.world.dice.random() < 0.005:
            self._give_up()
        found = [
            Stat(key, len(data), hashlib.md5(data).hexdigest() if self.has_etags else "")
            for key, data in sorted(self.world.objects.items())
            if key.startswith(prefix)
        ]
        self._wait()
        return found

    def delete(self, key: str) -> None:
        self._wait()
        self.world.objects.pop(key, None)

    def _give_up(self) -> None:
        self.world.stats["gave up"] += 1
        raise StorageError("the store did not answer")


class Participant:
    """One run of the sweep: it computes stretches one after another, two of which it has claimed ahead."""

    def __init__(self, world: World, name: str, kind: str, make: Callable[..., Claims], *, create_only: bool) -> None:
        dice = world.dice
        self.world, self.name, self.kind = world, name, kind
        self.store: Any = SimulatedStore(world, create_only, has_etags=world.seed % 4 != 0)
        self.clock = self._clock(dice.uniform(-1e5, 1e5), dice.uniform(0.98, 1.02))
        self.pace = dice.uniform(30, 120) if kind == "slow" else dice.uniform(2, 15)
        self.make = make
        self.pid = dice.randrange(10**9)
        self.shares_machine = dice.random() < 0.5
        self.ends_at = dice.uniform(5, 200) if kind in {"dies", "stops"} else float("inf")
        begins = dice.uniform(5, 200)
        self.sleep = (begins, begins + dice.uniform(30, 400)) if kind == "sleeps" else (0.0, 0.0)
        self.has_ended = False

    def _clock(self, offset: float, rate: float) -> Callable[[], float]:
        return lambda: offset + rate * self.world.now

    # What a process of this kind lives through; its heartbeat lives through the same.
    def pause(self, seconds: float) -> None:
        self.world.sleep(seconds)
        if self.sleep[0] <= self.world.now < self.sleep[1]:
            self.world.stats["slept"] += 1
            self.world.sleep(self.sleep[1] - self.world.now)
        if self.kind == "dies" and self.world.now >= self.ends_at:
            if self.shares_machine:
                self.world.gone.add(self.pid)
            self.world.stats["died"] += 1
            raise greenlet.GreenletExit

    def start(self, after: float) -> None:
        self.world.start(greenlet.greenlet(self.work, parent=self.world.hub), after)

    def beat(self) -> None:
        number = 0
        while not self.has_ended:
            self.write_beat(number)
            number += 1
            self.pause(INTERVAL_S)

    def write_beat(self, number: int) -> None:
        process = {"machine": "m", "pid": self.pid, "started": "s"}
        at = self.clock()  # nobody may read a time off it
        with suppress(StorageError):
            self.store.put(
                f"state/running/s/{self.name}.json",
                json.dumps({"at": at, "count": number, "process": process}).encode(),
            )

    def is_gone(self, process: Process) -> bool:
        return process.pid in self.world.gone

    def settled(self, numbers: Iterable[int]) -> set[int]:
        self.store.list("catalog/")  # it costs time, and may fail
        return self.world.done.intersection(numbers)

    def work(self) -> None:
        world, pid = self.world, 0
        while not world.objects.get(f"state/running/s/{self.name}.json"):
            self.write_beat(pid)
        world.start(greenlet.greenlet(self.beat, parent=world.hub), INTERVAL_S)
        watch = Watch(self.store, "s", self.clock, self.is_gone)
        claims = self.make(
            self.store, "s", self.name, watch, stretches=range(STRETCHES), settled=self.settled, clock=self.clock
        )
        in_hand: list[int] = []
        while in_hand or not claims.is_done:
            if self.kind == "stops" and world.now >= self.ends_at:
                break
            while len(in_hand) < 2 and not claims.is_done:
                number = None
                with suppress(StorageError):
                    number = claims.take()
                if number is None:
                    break
                in_hand.append(number)
            if in_hand:
                number = in_hand.pop(0)
                self.pause(world.dice.expovariate(1 / self.pace))
                world.done.add(number)
                world.computed[number].append(self.name)
            else:
                self.pause(0.5)
        self.has_ended = True
        self.store.delete(f"state/running/s/{self.name}.json")


STRETCHES = 24


def run(seed: int, make: Callable[..., Claims] = Claims, *, create_only: bool = True) -> tuple[list[str], World]:
    """Run one seed and return what went against the promises, and the world it ended in."""
    world = World(seed)
    dice, before = random.Random(seed), uuid.uuid4
    kinds = ["punctual", "punctual", *(world.dice.choice(KINDS) for _ in range(world.dice.randint(0, 4)))]
    people = [Participant(world, f"p{n}", kind, make, create_only=create_only) for n, kind in enumerate(kinds)]
    for person in people:
        person.start(world.dice.choice([0.0, world.dice.uniform(0, 100)]))
    uuid.uuid4 = lambda: uuid.UUID(int=dice.getrandbits(128), version=4)  # type: ignore[assignment]
    try:
        world.run()
    finally:
        uuid.uuid4 = before  # type: ignore[assignment]
    faults = [f"seed {seed}: stretch {n} was done by nobody" for n in range(STRETCHES) if n not in world.done]
    faults += [
        f"seed {seed}: {p.name} never ended" for p in people if p.kind in {"punctual", "slow"} and not p.has_ended
    ]
    punctual = {p.name for p in people if p.kind in {"punctual", "slow"}}
    for number, names in sorted(world.computed.items()):
        both = sorted(set(names) & punctual)
        if len(both) > 1 or max(Counter(names).values()) > 1:
            faults.append(f"seed {seed}: stretch {number} was computed by {names}")
        world.stats["computed twice"] += len(names) - 1
    world.stats["computed"] += sum(map(len, world.computed.values()))
    world.stats["seconds"] += int(world.now)
    return faults, world
