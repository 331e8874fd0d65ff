"""Claims: every stretch is done, none twice by those that are alive, and mutants of the protocol are found out."""

from __future__ import annotations

from collections import Counter

import claims_simulator as simulator
import pytest

from tasks.claims import Claims

BLOCK = 100


@pytest.mark.parametrize("start", range(0, 300, BLOCK))
def test_every_stretch_is_done_and_none_twice_by_the_punctual(start: int) -> None:
    stats: Counter[str] = Counter()
    for seed in range(start, start + BLOCK):
        faults, world = simulator.run(seed)
        assert not faults
        stats += world.stats
    assert min(stats[event] for event in ("died", "slept", "lost answers", "gave up")) > BLOCK // 10
    assert stats["computed twice"] < 0.05 * stats["computed"], "only what the dead and the sleeping had in hand"


def test_a_seed_decides_everything() -> None:
    first, second = simulator.run(7)[1], simulator.run(7)[1]
    assert (first.objects, first.stats, first.computed) == (second.objects, second.stats, second.computed)


class NeverExpires(Claims):
    """Nobody is ever held for dead: everybody that was alive once is alive."""

    def _look(self):
        before = self._alive
        super()._look()
        self._alive |= before


class ExpiresAtOnce(Claims):
    """Everybody is held for dead."""

    def _look(self):
        super()._look()
        self._alive = set()


class SameGeneration(Claims):
    """Whoever takes over says so to nobody."""

    def _create(self, number, generation):
        return generation > 1 or super()._create(number, generation)


def first_fault(**how) -> str | None:
    return next((faults[0] for seed in range(100) if (faults := simulator.run(seed, **how)[0])), None)


@pytest.mark.parametrize("mutant", [NeverExpires, ExpiresAtOnce, SameGeneration])
def test_mutants_are_found_out(mutant) -> None:
    assert first_fault(make=mutant)


def test_claims_that_are_not_create_only_are_found_out() -> None:
    assert first_fault(create_only=False)
