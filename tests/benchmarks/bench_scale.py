"""From 1 to 10,000,000 cells and 1 to 64 participants, simulated: how much of their time devices are busy.

The claims, the heartbeats and the sizes of chunks are those of nst, in virtual time (`claims_simulator.py`). Simulated
are the devices, each of which takes half a second for a cell of a batch of eight, and the store, which takes a tenth of
a second for each way of a request. Planning takes each participant the seconds that were measured for a million cells.
The runs of up to 16 participants in `bench_participants.py` are real ones.

Printed are the share of the time from the beginning to the end of the last in which devices compute, and requests for
claims and heartbeats by cell.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import claims_simulator as simulator
import greenlet

from nst.planning.batches import MAX_STRETCHES
from nst.planning.chunks import TARGET_SECONDS
from tasks.claims import Claims
from tasks.heartbeat import Watch

if TYPE_CHECKING:
    from claims_simulator import World

SECONDS_PER_CELL = 0.5
CELLS_PER_BATCH = 8
START_S, PLAN_S_PER_CELL = 3.0, 4e-6
CHUNKS_PER_DEVICE = 4
CELLS = (1, 100, 10_000, 1_000_000, 10_000_000)
PARTICIPANTS = (1, 4, 16, 64)


class Punctual(simulator.Participant):
    """A participant with one device, which takes chunks as `flows.order.stylizing` does."""

    def __init__(self, world: World, name: str, seconds: list[float]) -> None:
        super().__init__(world, name, "punctual", Claims, create_only=True)
        self.seconds, self.busy, self.ended = seconds, 0.0, 0.0

    def work(self) -> None:
        """Take part from the plan to the end."""
        world = self.world
        world.sleep(START_S + PLAN_S_PER_CELL * sum(self.seconds) / SECONDS_PER_CELL)
        while f"state/running/s/{self.name}.json" not in world.objects:
            self.write_beat(0)
        world.start(greenlet.greenlet(self.beat, parent=world.hub), simulator.INTERVAL_S)
        watch = Watch(self.store, "s", self.clock, self.is_gone)
        claims = Claims(self.store, "s", self.name, watch, stretches=range(len(self.seconds)),
                        settled=self.settled, clock=self.clock)  # fmt: skip
        in_hand: list[int] = []
        look_s = max(0.2, self.seconds[0] / 500)  # a long stretch is looked after less often: fewer steps to simulate
        world.start(greenlet.greenlet(lambda: self.compute(in_hand), parent=world.hub))
        while in_hand or not claims.is_done:
            is_short = claims.left <= 2 * (1 + claims.others)  # then nothing is taken ahead
            wanted = 0.0 if is_short else 2 * self.chunk_seconds(claims)
            number = None
            if not claims.is_done and (not in_hand or sum(self.seconds[n] for n in in_hand) < wanted):
                number = self.taken(claims)
            if number is None:
                world.sleep(look_s)
            else:
                in_hand.append(number)
        self.has_ended, self.ended = True, world.now
        self.store.delete(f"state/running/s/{self.name}.json")

    def compute(self, in_hand: list[int]) -> None:
        """Be the device: compute what is in hand, while more is claimed."""
        while not self.has_ended:
            if not in_hand:
                self.world.sleep(0.1)
                continue
            number = in_hand[0]
            self.world.sleep(self.seconds[number])
            self.busy += self.seconds[number]
            self.world.done.add(number)
            self.world.computed[number].append(self.name)
            del in_hand[0]

    def chunk_seconds(self, claims: Claims) -> float:
        """As `nst.planning.chunks`."""
        others = claims.others
        left = claims.left / len(self.seconds) if others else 1.0
        return min(TARGET_SECONDS, sum(self.seconds) * left / (CHUNKS_PER_DEVICE * (1 + others)))

    def taken(self, claims: Claims) -> int | None:
        """Take a stretch; a store that fails is asked again."""
        try:
            return claims.take()
        except simulator.StorageError:
            return None


def run(cells: int, participants: int) -> tuple[float, float, int]:
    """Return the busy share, requests by cell, and stretches that were computed twice."""
    batches = -(-cells // CELLS_PER_BATCH)
    width = -(-batches // MAX_STRETCHES)
    stretches = -(-batches // width)
    seconds = [SECONDS_PER_CELL * cells / stretches] * stretches
    simulator.LATEST_S = 1e9
    world = simulator.World(seed=1)
    people = [Punctual(world, f"p{n:02}", seconds) for n in range(participants)]
    for person in people:
        person.start(0.0)
    world.run()
    last = max(person.ended for person in people)
    twice = sum(len(names) - 1 for names in world.computed.values())
    busy: Any = sum(person.busy for person in people)
    return busy / (participants * last), world.stats["requests"] / cells, twice


if __name__ == "__main__":
    chosen = tuple(map(int, sys.argv[1:])) or CELLS
    print("busy share of all devices (requests by cell; stretches computed twice)")
    print("| cells |" + "".join(f" {participants} |" for participants in PARTICIPANTS))
    print("|---|" + "---|" * len(PARTICIPANTS))
    for cells in chosen:
        found = [run(cells, participants) for participants in PARTICIPANTS]
        print(
            f"| {cells:,} |" + "".join(f" {busy:.1%} ({asked:.4g}; {twice}) |" for busy, asked, twice in found),
            flush=True,
        )
