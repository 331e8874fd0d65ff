"""Withdrawing what is open: its plan is taken away, and a note says of a sweep that this was done on purpose.

Without the note, a sweep that somebody withdrew would look like one whose only run was stopped. It counts while the
sweep has no plan, and is removed when the sweep is submitted again. Nobody who takes part reads it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tasks.planning.hindrances import forget_hindrances

if TYPE_CHECKING:
    from tasks.planning.plan_files import StoredPlan
    from tasks.store import Store

_PREFIX: Final = "state/withdrawn/"


def withdraw_plan(store: Store, plan: StoredPlan) -> None:
    """Take a stored plan away: who takes part notices, ends its batch and leaves.

    Raises:
        StorageError: The store did not answer; to withdraw it again is safe.
    """
    if plan.sweep:
        store.put(withdrawal_key(plan.identity), json.dumps({"name": plan.name}).encode())
    store.delete(plan.key)
    forget_hindrances(store, plan.identity)


def withdrawal_key(sweep_id: str) -> str:
    """Return the key of the note that a sweep was withdrawn."""
    return f"{_PREFIX}{sweep_id}.json"


def withdrawn_ids(store: Store) -> set[str]:
    """Return the ids of the sweeps that have a note; of one that has a plan it does not count."""
    return {stat.key.removeprefix(_PREFIX).removesuffix(".json") for stat in store.list(_PREFIX)}
