"""Effects and their retry policies, declared once and honoured by every engine. Knows nothing of Prefect.

An effect is a plain function marked with `@effect(...)`. Called directly it runs once, which is what tests want. An
engine of `flows/` runs it under its policy: inline through `call_with_policy`, under Prefect as a task whose page shows
every attempt. The error's class decides: `TransientError` is retried, nothing else is.
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
    """How often, and for how long, an effect is tried again.

    Attributes:
        retries: Attempts after the first one.
        retry_delays_s: Pause before each retry, seconds; the last one repeats. Empty means no pause.
        timeout_s: No retry begins later than this many seconds after the first attempt began; None means no limit. A
            call that is under way is never interrupted: a thread inside a C call cannot be.
    """

    retries: int = 2
    retry_delays_s: tuple[float, ...] = (1, 5)
    timeout_s: float | None = None

    def delay_s(self, retry: int) -> float:
        """Return the pause before the 1-based `retry`, seconds."""
        if not self.retry_delays_s:
            return 0
        return self.retry_delays_s[min(retry, len(self.retry_delays_s)) - 1]

    def allows_retry(self, error: BaseException | None, elapsed_s: float) -> bool:
        """Return whether this error may pass by itself and there is time left; counts nothing."""
        return isinstance(error, TransientError) and (self.timeout_s is None or elapsed_s < self.timeout_s)


ONCE = Policy(retries=0)
"""The policy of a function that declares none."""


def effect(
    *,
    retries: int = 2,
    retry_delays_s: tuple[float, ...] = (1, 5),
    timeout_s: float | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a function as an effect with this policy; the function itself stays as it is.

    Args:
        retries: Attempts after the first one.
        retry_delays_s: Pause before each retry, seconds; the last one repeats.
        timeout_s: No retry begins later than this, seconds after the first attempt began.
    """
    policy = Policy(retries, retry_delays_s, timeout_s)

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
    """Call `fn` under its policy, in this thread.

    Raises:
        TransientError: The last one, when the retries or the time are used up.
        Exception: Any other error of `fn`, at once.
    """
    return attempt(lambda: fn(*args, **kwargs), policy_of(fn), time.sleep)


def attempt(call: Callable[[], R], policy: Policy, pause: Callable[[float], object]) -> R:
    """Call until it succeeds or `policy` gives up, with `pause(seconds)` in between.

    An engine passes a `pause` that raises when the run is being stopped.
    """
    began = time.monotonic()
    retry = 0
    while True:
        try:
            return call()
        except TransientError as error:
            retry += 1
            delay_s = policy.delay_s(retry)
            if retry > policy.retries or not policy.allows_retry(error, time.monotonic() - began + delay_s):
                raise
        pause(delay_s)
