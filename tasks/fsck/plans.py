"""Checks that every stored plan of a sweep or a training can be read: nobody takes part in one that cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.planning.plan_files import read_plans, unreadable_plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tasks.fsck.findings import Report
    from tasks.planning.plan_files import UnreadablePlan
    from tasks.store import Store


def check_plans(store: Store, report: Report) -> None:
    """Report the plans that are damaged, and note those of another version, with which that version can take part."""
    plans, unreadable = read_plans(store)
    for plan in unreadable:
        if plan.is_damaged:
            report.problem(plan.key, f"plan {plan.what}", plan.hint)
        else:
            report.notes.append(f"{plan.key}: plan {plan.what} ({plan.hint})")
    if found := len(plans) + len(unreadable):
        report.counts["plans"] += found


def damaged_plans(store: Store) -> tuple[UnreadablePlan, ...]:
    """Return the plans that no version of nst can read."""
    _, unreadable = read_plans(store)
    return tuple(plan for plan in unreadable if plan.is_damaged)


def remove_plans(store: Store, plans: Iterable[UnreadablePlan]) -> int:
    """Remove these plans and return their number; one that somebody has submitted anew meanwhile stays."""
    removed = 0
    for plan in plans:
        now = unreadable_plan(store, plan.key)
        if now is not None and now.is_damaged:
            store.delete(plan.key)
            removed += 1
    return removed
