"""The keys that a log publishes and those that its files hold, as digests (`tasks.catalog.keyless`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tasks.catalog.keyless import digests_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tasks.catalog.keyless import Digests
    from tasks.catalog.log import Claim


def first_of(keys: Iterable[str], wanted: Digests) -> str:
    """Return the first in alphabetical order of those keys that have one of these digests."""
    found = set(wanted.tolist())
    return min(key for key in keys if found.intersection(digests_of([key]).tolist()))


class KeyHistory:
    """What the claims of a log publish and drop, in the order of the log."""

    def __init__(self) -> None:
        self._digests, self._claims = [digests_of([])], [np.empty(0, np.int64)]

    def note(self, claim: Claim) -> None:
        """Note the next claim."""
        self._note(claim.keys, claim.number)
        self._note(claim.values, ~claim.number)

    def _note(self, keys: Collection[str], claim: int) -> None:
        if keys:
            self._digests.append(digests_of(keys))
            self._claims.append(np.full(len(keys), claim, np.int64))

    def fold(self) -> tuple[Digests, dict[int, Digests]]:
        """Return which keys are published in the end, sorted, and by claim those that it publishes a second time."""
        self._digests, self._claims = [np.concatenate(self._digests)], [np.concatenate(self._claims)]
        order = np.argsort(self._digests[0], kind="stable")
        digests, claims = self._digests[0][order], self._claims[0][order]
        added, same = claims >= 0, digests[1:] == digests[:-1]
        again = np.flatnonzero(same & added[1:] & added[:-1]) + 1
        repeated = {int(number): digests[again[claims[again] == number]] for number in np.unique(claims[again])}
        is_last = np.append(~same, True)[: digests.size]
        return digests[is_last & added], repeated


class KeysOfFiles:
    """The keys of a table's files, against those of its log."""

    def __init__(self) -> None:
        self._digests = [digests_of([])]

    def see(self, digests: Digests) -> None:
        """Note keys of a file."""
        self._digests.append(digests)

    def compare(self, known: Digests) -> tuple[Digests, Digests, Digests]:
        """Return which keys of the log are there more than once, which keys it lacks, and which of it are not there.

        Args:
            known: The keys of the log, sorted.
        """
        seen = np.sort(np.concatenate(self._digests))
        if np.array_equal(seen, known):
            return (digests_of([]),) * 3
        seen, times = np.unique(seen, return_counts=True)
        twice = np.intersect1d(seen[times > 1], known, assume_unique=True)
        unknown = np.setdiff1d(seen, known, assume_unique=True)
        return twice, unknown, np.setdiff1d(known, seen, assume_unique=True)
