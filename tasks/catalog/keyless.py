"""The log of a table with a million rows in little memory: without its keys, or with keys as digests in arrays.

A key is known by 16 bytes of its BLAKE2b hash, so that two keys of one table count as one with a probability of 1e-27
at a million rows.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from tasks.catalog.log import Claim, State

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import numpy.typing as npt

    from tasks.catalog.ledger import Ledger

    Digests = npt.NDArray[np.bytes_]


def digests_of(keys: Iterable[Any]) -> Digests:
    """Return the digests of keys, in their order."""
    hashed = (hashlib.blake2b(str(k).encode(errors="surrogatepass"), digest_size=16).digest() for k in keys)
    return np.fromiter(hashed, "S16")


class KeylessState(State):
    """A folded log that does not know the published keys, which take most of the memory of a state."""

    def apply(self, claim: Claim, table: str, suffix: str) -> None:
        """Fold the next claim into the state."""
        super().apply(replace(claim, keys=(), values=()), table, suffix)


def without_keys(ledger: Ledger) -> Ledger:
    """Return a ledger of the same table that folds the log from its first claim, and knows no key.

    It reads what the other one reads; rows that are not published yet, and never will be since their keys are published
    already, are read along with the others.
    """
    return replace(ledger, state=KeylessState(), claims={}, saved=0)
