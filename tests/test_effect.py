from __future__ import annotations

import pytest

from nst.errors import InputError, NumericalError, StorageError, TransientError, UserError, WorkerLost
from tasks.effect import ONCE, Policy, attempt, call_with_policy, effect, policy_of


def failing(errors, **policy):
    """An effect that raises these errors one after the other, then returns its argument."""
    calls = []

    @effect(**{"retry_delays_s": (0,), **policy})
    def work(value):
        calls.append(value)
        if len(calls) <= len(errors):
            raise errors[len(calls) - 1]
        return value

    return work, calls


def test_the_plain_function_stays_callable_and_runs_once():
    work, calls = failing([StorageError("503")])
    with pytest.raises(StorageError):
        work("x")
    assert calls == ["x"]
    assert work.__name__ == "work"


@pytest.mark.parametrize("error", [TransientError("t"), StorageError("s"), WorkerLost("w")])
def test_transient_errors_are_retried(error):
    work, calls = failing([error, error])
    assert call_with_policy(work, 7) == 7
    assert len(calls) == 3


@pytest.mark.parametrize("error", [UserError("u"), InputError("i"), NumericalError("n"), ValueError("v"), OSError("o")])
def test_no_other_error_is_retried(error):
    work, calls = failing([error])
    with pytest.raises(type(error)):
        call_with_policy(work, 7)
    assert len(calls) == 1


def test_the_last_error_is_raised_when_the_retries_are_used_up():
    errors = [StorageError(str(n)) for n in range(5)]
    work, calls = failing(errors, retries=2)
    with pytest.raises(StorageError, match="2"):
        call_with_policy(work, 7)
    assert len(calls) == 3


def test_pauses_follow_the_declared_delays_and_the_last_one_repeats():
    errors = iter([StorageError("s")] * 4)
    pauses = []

    def call():
        for error in errors:
            raise error
        return "done"

    assert attempt(call, Policy(retries=4, retry_delays_s=(1, 5)), pauses.append) == "done"
    assert pauses == [1, 5, 5, 5]


def test_a_function_without_a_policy_runs_once():
    assert policy_of(len) == ONCE
    assert call_with_policy(len, "abc") == 3


def test_policies_cannot_be_changed_after_the_declaration():
    work, _ = failing([])
    with pytest.raises(AttributeError):
        policy_of(work).retries = 9
