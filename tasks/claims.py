"""Who does which part of a sweep: claims, small objects below the root that any number of participants create.

The problem: several runs of one sweep on one root would each do all of it. Any of them may be slow, die, or sleep for
an hour and go on; their clocks may be minutes apart; and each of them sees the others through the store alone.

The rule: a claim is `state/claims/<group>/<stretch>-<generation>.json`, written create-only, so that one participant
has it; the highest generation counts. A participant takes what nobody has claimed, in order. When nothing of that is
left, it waits for what others hold, and takes over what a dead one held (`tasks.heartbeat.Watch`) by creating the next
generation. It reads in this order: the claims, since whoever has one had a heartbeat before; the heartbeats; and what
is done, since an owner without a heartbeat may have ended well.

A claim is advice. What is done says the catalog, where the first of two results counts; so a claim that is lost, or
taken over from somebody who wakes up again, costs time and never a row.
"""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

from nst.yaml.json_text import checked_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tasks.heartbeat import Watch
    from tasks.store import Store

_PREFIX: Final = "state/claims/"

POLL_S: Final = 3.0
"""Least seconds between two looks at what others do, while there is nothing else to do."""

_SHARE: Final = 0.1
"""Of its time, what a participant that waits may spend on looking, as long as it looks every `LOOK_S`."""

LOOK_S: Final = 20.0
"""Seconds between two looks at the others' heartbeats while there is something to do."""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim as its object holds it."""

    participant: str
    nonce: str
    """Unique, so that a store that answers a repeated request knows one claim from another (`Store.put`)."""


_CLAIM: Final = TypeAdapter(_Claim)


class Claims:
    """The claims of one participant and what it knows of those of others. Used by one thread.

    Args:
        store: The objects of the root; it has create-only writes.
        group: Names what is divided: all who divide the same have the same group and the same stretches.
        participant: Id of this participant, whose heartbeat is there already.
        watch: Tells which participants are alive.
        stretches: Numbers of the stretches that are to be done, in order.
        settled: Returns which of some stretches need nobody any more, by what the catalog says now.
        on_taken_over: Called with a stretch that this participant takes over, and with the participant that held it.
        clock: A clock that never goes back, seconds.
    """

    def __init__(
        self,
        store: Store,
        group: str,
        participant: str,
        watch: Watch,
        *,
        stretches: Iterable[int],
        settled: Callable[[Sequence[int]], Iterable[int]],
        on_taken_over: Callable[[int, str], None] = lambda _stretch, _owner: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._group, self._me = store, group, participant
        self._prefix = f"{_PREFIX}{group}/"
        self._watch, self._settled, self._on_taken_over, self._clock = watch, settled, on_taken_over, clock
        self._left = dict.fromkeys(stretches)  # an ordered set: neither taken by this participant nor settled
        self._newest: dict[int, int] = {}  # the highest generation of each stretch that is known to be claimed
        self._owners: dict[tuple[int, int], str] = {}
        self._free: list[tuple[int, int]] = []  # stretches and generations of claims of those that are dead
        self._looked = self._next_poll = float("-inf")
        self._alive: set[str] = set()
        self._has_begun = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left that this participant could take or would have to wait for."""
        return not self._left

    @property
    def others(self) -> int:
        """How many other participants were alive when this one looked last."""
        return len(self._alive - {self._me})

    @property
    def left(self) -> int:
        """How many stretches nobody has claimed, as far as this participant knows."""
        return sum(number not in self._newest for number in self._left)

    @property
    def leads(self) -> bool:
        """Whether this participant has the lowest id of those that were alive when it looked last."""
        return self._me == min(self._alive, default=self._me)

    def take(self, *, only_look: bool = False) -> int | None:
        """Claim a stretch and return its number; None if there is none at the moment: ask again, at any rate.

        Args:
            only_look: Whether to claim nothing, and merely learn now and then what others have done.

        Raises:
            StorageError: The store did not answer; to ask again is safe.
        """
        if not self._has_begun:
            self._look()
            self._settle(list(self._left))  # of those who ended before this one's heartbeat, the claims may be gone
            self._list()
            self._has_begun = True
        elif self._clock() - self._looked >= LOOK_S:
            self._look()  # also while there is work: how long somebody has been silent counts from the first look
        number = None if only_look else self._unclaimed()
        if number is None and self._left:
            if (only_look or not self._free) and self._clock() >= self._next_poll:
                began = self._clock()
                self._poll()
                cost = self._clock() - began
                self._next_poll = self._clock() + max(POLL_S, cost, min(cost / _SHARE, LOOK_S))
            number = None if only_look else self._taken_over()
        return number

    def settle(self) -> bool:
        """Learn what is done by now, and return whether nothing is left to take or to wait for."""
        self._settle(list(self._left))
        return self.is_done

    def _unclaimed(self) -> int | None:
        """Claim a stretch that nobody has: one of the next, each participant another, or all would want the first."""
        rank = sum(other < self._me for other in self._alive)
        while free := [number for number in self._left if number not in self._newest]:
            number = free[rank % len(free)]
            if self._create(number, 1):
                del self._left[number]
                return number
            self._list()  # somebody was quicker, and may have taken others, too
            self._newest.setdefault(number, 1)
        return None

    def _poll(self) -> None:
        """Learn what is done, and what was held by somebody who is dead."""
        self._free = []
        self._list()
        self._look()
        self._settle(list(self._left))
        for number in self._left:
            generation = self._newest.get(number, 0)
            owner = self._owner(number, generation)
            if owner == self._me or owner not in self._alive:
                self._free.append((number, generation))

    def _taken_over(self) -> int | None:
        """Take over a stretch of a dead participant; None if there is none, as far as is known."""
        while self._free:
            number, generation = self._free[0]  # as they were at the look: a newer claim may be of somebody alive
            # A claim of its own that is left here was created by a request whose answer was lost.
            owner = self._owner(number, generation)
            is_mine = owner == self._me or self._create(number, generation + 1)
            del self._free[0]
            if is_mine and number in self._left:
                if owner != self._me:
                    self._on_taken_over(number, owner)
                del self._left[number]
                return number
        return None

    def _create(self, number: int, generation: int) -> bool:
        data = json.dumps({"participant": self._me, "nonce": uuid.uuid4().hex}).encode()
        if not self._store.put(self._key(number, generation), data, create=True):
            return False
        self._newest[number] = generation
        self._owners[number, generation] = self._me
        return True

    def _list(self) -> None:
        """Learn what is claimed."""
        self._newest = {}
        for stat in self._store.list(self._prefix):
            number, _, generation = stat.key.removeprefix(self._prefix).removesuffix(".json").partition("-")
            if number.isdecimal() and generation.isdecimal():
                self._newest[int(number)] = max(int(generation), self._newest.get(int(number), 0))

    def _owner(self, number: int, generation: int) -> str:
        """Return the participant that has created a claim; "" if there is no such claim, or none wrote it."""
        if (number, generation) not in self._owners:
            try:
                claim = checked_json(_CLAIM, self._store.get(self._key(number, generation)))
            except (FileNotFoundError, ValueError):
                return ""
            self._owners[number, generation] = claim.participant
        return self._owners[number, generation]

    def _look(self) -> None:
        self._alive = self._watch.look()
        self._looked = self._clock()

    def _settle(self, numbers: Sequence[int]) -> None:
        for number in self._settled(numbers):
            self._left.pop(number, None)

    def _key(self, number: int, generation: int) -> str:
        return f"{self._prefix}{number}-{generation}.json"


def claims_of_group(store: Store, group: str) -> list[str]:
    """Return the keys of the claims of a group."""
    return [stat.key for stat in store.list(f"{_PREFIX}{group}/")]


def claims_of_sweep(store: Store, sweep_id: str) -> list[str]:
    """Return the keys of all claims of a sweep, whatever part of it they divide."""
    parts = (stat.key for stat in store.list(f"{_PREFIX}{sweep_id}-"))
    return [*claims_of_group(store, sweep_id), *parts]
