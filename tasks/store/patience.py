"""How long nst waits for a store: exponential backoff with full jitter up to a deadline, then `StorageError`.

Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): full jitter spreads the retries of
many clients best. The libraries underneath are configured not to retry: with 5 tries of s3fs times 5 of botocore, one
failure took 40 s here.

A place that nobody reaches at the first contact is the user's error at once: a name that is unknown or a port that is
closed is mostly a mistake in an address. A place that has answered before keeps all of its patience.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from nst.errors import StorageError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CONNECT_SECONDS = 5.0
"""Silence after which an attempt to connect is given up; TCP asks three times within this time."""

_ANSWERED: set[str] = set()
"""The places that have answered this process."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of one operation.

    Attributes:
        deadline: Seconds after which no further attempt starts.
        stall: Seconds of silence after which one attempt is given up (connect, or between two reads).
        first_wait: Upper bound in seconds of the first wait; it doubles with every attempt.
        longest_wait: Upper bound in seconds of any wait.
        known: Whether the store has answered before, perhaps to another process; then there is no first contact.
    """

    deadline: float = 60.0
    stall: float = 20.0
    first_wait: float = 0.1
    longest_wait: float = 8.0
    known: bool = False


class PassingError(Exception):
    """One attempt failed in a way that may pass: throttled, reset, timed out, truncated, a server's 5xx."""


class UnreachableError(PassingError):
    """No connection was made: an unknown host, a refused connection, a port that nobody listens at."""


def persist(attempt: Callable[[], T], patience: Patience, what: str, place: str = "") -> T:
    """Return the first answer of `attempt` that is not a `PassingError`.

    Args:
        attempt: Does the operation once; must be safe to repeat.
        patience: The limits.
        what: Names the operation in the error, e.g. "get s3://bucket/key".
        place: The server that is asked, for which a first contact is told from later ones.

    Raises:
        UserError: Nobody was reached at the first contact with `place`.
        StorageError: The deadline passed; the message says how often it was tried and what went wrong last.
    """
    start = time.monotonic()
    tries = 0
    while True:
        tries += 1
        try:
            answer = attempt()
        except PassingError as error:
            if isinstance(error, UnreachableError) and not patience.known and place not in _ANSWERED:
                raise UserError(f"{what}: {error}", hint="check the address, the port and the network") from error
            left = patience.deadline - (time.monotonic() - start)
            if left <= 0:
                raise StorageError(
                    f"{what}: gave up after {tries} attempts in {time.monotonic() - start:.0f} s; last: {error}",
                    hint="the store is overloaded or unreachable; run again later, finished work is kept",
                ) from error
        else:
            _ANSWERED.add(place)
            return answer
        longest = min(patience.longest_wait, patience.first_wait * 2.0 ** min(tries - 1, 30))
        time.sleep(min(left, random.uniform(0.0, longest)))  # noqa: S311 - spreading retries is no cryptography
