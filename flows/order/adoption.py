"""Adoption: what is open below a root and has no part left is handed to the workers of the stack again.

The problem: if all parts of a sweep are killed at once, none is there that would make another one, and the sweep stays
open until somebody notices in the morning. A sweep whose parts die of itself, as for lack of memory, must not keep the
workers busy for ever.

The rule: whoever stands by (`nst inbox --stay`, which `nst up` starts) looks every few seconds for what is open, was
handed over, and has no part that is alive; and makes one. The first time at once, then after pauses that double; after
`MOST` times in a row without a finished cell or model, and without a part that lasted `LONG_S`, it is left to people.

Who cancels a part on Prefect's page means the sweep: what is open and has a cancelled part of this submission is
withdrawn with its other parts, as by `nst cancel`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from tasks.effect import call_with_policy
from tasks.maintenance import publish_all
from tasks.planning.plan_files import open_ids, open_plans
from tasks.planning.withdrawal import withdraw_plan
from tasks.prefect.parts import cancel_parts, close_gone, has_parts, lost_part, newest_cancelled
from tasks.prefect.parts import hand_over as hand_part_over
from tasks.prefect.pool import Whole
from tasks.prefect.provisioning import USUAL, has_deployments
from tasks.prefect.standing import in_use, within_reach
from tasks.status.submissions import overview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.planning.plan_files import StoredPlan
    from tasks.prefect.parts import Lost
    from tasks.root import Root

MOST: Final = 5
"""How many times in a row what is open is handed over, if nothing comes of it."""

FIRST_PAUSE_S: Final = 60.0
"""Seconds between the first time and the second; before each further one the pause is twice as long."""

LONG_S: Final = 3600.0
"""A part that lasted so many seconds has come to something, though nothing was finished: trainings have checkpoints."""


def adopt(root: Root) -> list[str]:
    """Hand what is open below a root to the workers, where none of them is at it; return the names of its manifests.

    To be called where the Prefect client asks the server of the stack (`tasks.prefect.standing.in_use`).

    Raises:
        TransientError: The store or the server did not answer.
    """
    found = [plan for plan in open_plans(root.store) if not has_parts(plan.identity, root.uri)]
    for plan in found:
        _hand_over(plan, root, USUAL)
    return [plan.name for plan in found]


@dataclass(frozen=True, slots=True)
class _Tried:
    """What was tried with something that is open.

    Attributes:
        times: How often it was handed over in a row.
        finished: How many of its cells or models were finished at the last time.
        again: When it may be handed over again, by the monotonic clock.
        given_up_at: The run after whose end it was left to people; "" if it was not.
    """

    times: int = 0
    finished: int = -1
    again: float = 0.0
    given_up_at: str = ""


class Adoption:
    """Watches over what is open below a root.

    Args:
        root: The root, probed.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._tried: dict[str, _Tried] = {}

    def look(self) -> list[str]:
        """Hand over again what has lost all of its parts; return a line about each, and about what is given up.

        Raises:
            TransientError: The store or the server did not answer.
            UserError: The root cannot be used.
        """
        stack, ids = within_reach(), open_ids(self._root.store)
        self._tried = {identity: tried for identity, tried in self._tried.items() if identity in ids}
        if stack is None or not ids:
            return []
        with in_use(stack):
            if not has_deployments():
                return []
            close_gone()
            return list(self._adopted(ids))

    def _adopted(self, ids: set[str]) -> Iterator[str]:
        for identity in sorted(ids):
            if cancelled := self._cancelled(identity):
                yield cancelled
                continue
            lost = lost_part(identity, self._root.uri)
            tried = self._tried.get(identity, _Tried())
            if lost is None or lost.run == tried.given_up_at or time.monotonic() < tried.again:
                continue
            plan = next((plan for plan in open_plans(self._root.store) if plan.identity == identity), None)
            if plan:
                yield self._handed_over(plan, lost, tried)

    def _cancelled(self, identity: str) -> str:
        """Withdraw what somebody cancelled on Prefect's page; return a line about it, "" if nobody has."""
        store = self._root.store
        made = newest_cancelled(identity, self._root.uri)
        plans = [plan for plan in open_plans(store) if plan.identity == identity] if made else []
        found = [plan for plan in plans if made and plan.submitted_at <= made]  # of a submission before it is no matter
        for plan in found:
            withdraw_plan(store, plan)
        if not found:
            return ""
        cancel_parts(identity, self._root.uri)
        return f"{found[0].name} was cancelled on Prefect's page, and is withdrawn"

    def _handed_over(self, plan: StoredPlan, lost: Lost, tried: _Tried) -> str:
        call_with_policy(publish_all, self._root.catalog)  # what its parts had finished and nobody counted
        (found, *_) = overview(self._root, plan.identity).find(plan.identity)
        finished = found.done + found.failed
        if finished > tried.finished or lost.seconds >= LONG_S or tried.given_up_at:
            tried = _Tried()
        if tried.times == MOST:
            self._tried[plan.identity] = _Tried(given_up_at=lost.run)
            return (
                f"{plan.name} is left alone: nothing came of it {MOST} times in a row; nst submit hands it over again"
            )
        self._tried[plan.identity] = _Tried(
            tried.times + 1, finished, time.monotonic() + FIRST_PAUSE_S * 2**tried.times
        )
        _hand_over(plan, self._root, lost.priority)
        return f"{plan.name} had lost all of its parts, and is handed to the workers again"


def _hand_over(plan: StoredPlan, root: Root, priority: int) -> None:
    whole = Whole("sweep" if plan.sweep else "train", plan.name, plan.identity, root.uri)
    hand_part_over(whole, f"adopted {datetime.now(UTC).isoformat()}", priority)
