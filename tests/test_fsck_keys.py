"""Keys as digests in arrays say the same as sets of strings do."""

from __future__ import annotations

import random

import numpy as np
import pytest

from tasks.catalog.keyless import digests_of
from tasks.catalog.log import Claim
from tasks.fsck.keys import KeyHistory, KeysOfFiles, first_of


def claim(number: int, op: str, names: list[str]) -> Claim:
    given = {"keys": tuple(names)} if op == "add" else {"column": "cell_id", "values": tuple(names)}
    return Claim(number, op, "2026-11", 0.0, len(names), **given)


@pytest.mark.parametrize("seed", range(20))
def test_a_history_ends_with_the_keys_that_sets_end_with_and_names_what_is_published_twice(seed: int) -> None:
    rng = random.Random(seed)
    history, known, twice = KeyHistory(), set[str](), dict[int, set[str]]()
    for number in range(rng.randrange(12)):
        names = rng.sample("abcdefghä漢", rng.randrange(5))
        op = rng.choice(["add", "add", "drop"])
        history.note(claim(number, op, names))
        if op == "drop":
            known -= set(names)
            continue
        if again := known & set(names):
            twice[number] = again
        known |= set(names)
        assert set(history.fold()[0].tolist()) == set(digests_of(known).tolist())
    found, repeated = history.fold()
    assert np.array_equal(found, np.sort(digests_of(sorted(known))))
    assert {number: set(one.tolist()) for number, one in repeated.items()} == {
        number: set(digests_of(names).tolist()) for number, names in twice.items()
    }


def test_files_are_compared_with_the_log() -> None:
    files = KeysOfFiles()
    for names in ("abx", "bcx"):
        files.see(digests_of(names))
    twice, unknown, missing = files.compare(np.sort(digests_of("abcd")))
    assert [first_of("abcdx", found) for found in (twice, unknown, missing)] == ["b", "x", "d"]
    assert [found.size for found in (twice, unknown, missing)] == [1, 1, 1]


def test_equal_keys_have_nothing_to_say() -> None:
    files = KeysOfFiles()
    files.see(digests_of("ca"))
    files.see(digests_of("b"))
    assert [found.size for found in files.compare(np.sort(digests_of("abc")))] == [0, 0, 0]


def test_of_several_keys_the_first_in_the_alphabet_is_named() -> None:
    assert first_of(["c", "b", "a"], digests_of(["c", "b"])) == "b"
