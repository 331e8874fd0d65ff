"""Effects and their retry policies, declared once and honoured by every engine. Knows nothing of Prefect.

An effect is a plain function marked with `@effect(...)`. Called directly it runs once, which is what tests want. An
engine of `flows/` runs it under its policy: inline through `attempt`, under Prefect as a task whose page shows every
attempt. The class of the error decides: a `TransientError` is retried, nothing else is.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from nst.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_ATTRIBUTE = "__effect_policy__"


@dataclass(frozen=True, slots=True)
class Policy:
    """How often an effect is tried again.

    Attributes:
        retries: Attempts after the first one.
        retry_delays_s: Pause before each retry, seconds; the last one repeats. Empty means no pause.
    """

    retries: int = 2
    retry_delays_s: tuple[float, ...] = (1, 5)

    def delay_s(self, retry: int) -> float:
        """Return the pause before the 1-based `retry`, seconds."""
        if not self.retry_delays_s:
            return 0
        return self.retry_delays_s[min(retry, len(self.retry_delays_s)) - 1]


ONCE = Policy(retries=0)
"""The policy of a function that declares none."""


def effect(
    *, retries: int = 2, retry_delays_s: tuple[float, ...] = (1, 5)
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as an effect with this policy (`Policy`); the function itself is not changed."""
    policy = Policy(retries, retry_delays_s)

    def mark(fn: Callable[P, R]) -> Callable[P, R]:
        setattr(fn, _ATTRIBUTE, policy)
        return fn

    return mark


def policy_of(fn: Callable[..., object]) -> Policy:
    """Return the declared policy, or `ONCE`."""
    policy = getattr(fn, _ATTRIBUTE, ONCE)
    assert isinstance(policy, Policy)
    return policy


def call_with_policy(fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Call `fn` under its policy, in this thread; errors as `attempt`."""
    return attempt(lambda: fn(*args, **kwargs), policy_of(fn), time.sleep)


def attempt(call: Callable[[], R], policy: Policy, pause: Callable[[float], object]) -> R:
    """Return what `call` returns, trying again by `policy` after each `TransientError`.

    Args:
        call: The effect with its arguments.
        policy: How often.
        pause: Waits this many seconds before a retry; an engine's raises when the run is being stopped.

    Raises:
        TransientError: The last one, when the retries are used up.
        Exception: Any other error of `call`, at once.
    """
    retry = 0
    while True:
        try:
            return call()
        except TransientError:
            retry += 1
            if retry > policy.retries:
                raise
        pause(policy.delay_s(retry))
