"""Submitting an order: it is planned and put on record, and done by whoever takes part (`flows.order.participation`).

manifest -> plan -> local inputs copied below the root -> sweep registered -> plan stored
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from flows.counted import counted
from flows.order.summary import duration
from nst.errors import InputError
from tasks.effect import call_with_policy
from tasks.heartbeat import TRAININGS, Watch
from tasks.maintenance import publish_all
from tasks.planning.plan_files import find_plan, is_open, open_plans
from tasks.planning.registration import register_sweep
from tasks.planning.stored import has_moved
from tasks.planning.stored import submit as store_plan
from tasks.planning.sweep import PreparedSweep
from tasks.planning.training import register_training
from tasks.planning.uploading import uploaded
from tasks.planning.withdrawal import withdraw_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.order.order import Order
    from tasks.planning.plan_files import StoredPlan
    from tasks.root import Root

    AnyOrder = TypeVar("AnyOrder", bound=Order[Any])

_LOOK_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission.

    Attributes:
        what: The name of the manifest and the beginning of its id.
        noun: What is counted: cells or models.
        total: How many of them there are.
        done: How many of them are done.
        to_do: How many of them are to be done.
        seconds: How long that takes one device, None if nothing is known.
        copied: Local files that were copied below the root.
        was_open: Whether it had been submitted before and is not done yet.
        has_moved: Whether its inputs had other locations then.
    """

    what: str
    noun: str
    total: int
    done: int
    to_do: int
    seconds: float | None
    copied: int
    was_open: bool
    has_moved: bool

    def line(self) -> str:
        """Return it as a line for people."""
        if not self.to_do:
            return f"{self.what}: all is done already"
        if self.was_open:
            moved = "; its inputs are now read from where they are now" if self.has_moved else ""
            return f"{self.what}: submitted before{moved}, {counted(self.to_do, self.noun)} still to be done"
        left_out = self.total - self.done - self.to_do
        others = [f"{self.done:,} done already"] if self.done else []
        others += [f"{left_out:,} not chosen"] if left_out else []
        count = f"{counted(self.to_do, self.noun)} to do"
        if others:
            count = f"{counted(self.total, self.noun)}: {', '.join(others)}, {self.to_do:,} to do"
        long = "" if self.seconds is None else f", about {duration(self.seconds)} on one device like those before"
        copied = f"; {counted(self.copied, 'inputs')} copied below the root" if self.copied else ""
        return f"{self.what}: submitted, {count}{long}{copied}"


def submit_order(order: Order[Any]) -> Submitted:
    """Put an order on record; of one that is open nothing changes but where its inputs are read.

    Raises:
        InputError: An input changed meanwhile, or cannot be stored, as one behind a signed link.
        TransientError: The store did not answer; to submit again is safe.
    """
    prepared = order.prepared
    identity, store = prepared.identity, prepared.root.store
    what = f"{prepared.name} ({identity[:8]})"
    stored = find_plan(store, identity, prepared.scope)
    prepared, copied = uploaded(prepared)
    moved = stored is not None and has_moved(prepared, stored)
    if isinstance(prepared, PreparedSweep):
        total, done, seconds = prepared.plan.total, prepared.plan.done, prepared.plan.seconds
    else:
        total, done, seconds = len(prepared.specs), len(prepared.specs) - len(prepared.to_do), None
    if stored is None or moved:  # files that were moved may have got other names, too
        if isinstance(prepared, PreparedSweep):
            register_sweep(prepared)
        else:
            register_training(prepared)
        call_with_policy(publish_all, prepared.root.catalog)
        if order.to_do:
            store_plan(prepared, must=True, continued=stored)
            uploaded(order.prepared)  # what `nst repair` took for unnamed just before the plan was there
    return Submitted(
        what,
        order.noun,
        total,
        done,
        order.to_do,
        seconds,
        copied,
        was_open=stored is not None,
        has_moved=moved,
    )


def put_on_record(order: AnyOrder) -> AnyOrder:
    """Store the plan of an order that is to be run at once by other processes; return the order as they find it.

    Where others are at it already, it goes on with their submission.

    Raises:
        InputError: An input changed meanwhile, or the plan cannot be stored, as one with a signed link.
        TransientError: The store did not answer.
    """
    prepared, _ = uploaded(order.prepared)
    store, identity = prepared.root.store, prepared.identity
    others = Watch(store, identity if isinstance(prepared, PreparedSweep) else TRAININGS).look()
    stored = find_plan(store, identity, prepared.scope) if others else None
    if stored is None or has_moved(prepared, stored):
        store_plan(prepared, must=True, continued=stored)
        uploaded(order.prepared)  # as above
    return replace(order, prepared=prepared.counting_from(stored.failed) if stored else prepared)


def watch_order(order: Order[Any]) -> Iterator[tuple[int, int, str]]:
    """Yield how many of all cells or models are done or have failed, and a note, until the order is not open any more.

    Raises:
        StorageError: The store did not answer; whoever takes part goes on.
    """
    prepared = order.prepared
    store, catalog, ids = prepared.root.store, prepared.root.catalog, prepared.ids
    is_sweep = isinstance(prepared, PreparedSweep)
    table, column = ("results", "cell_id") if is_sweep else ("models", "model_id")
    watch = Watch(store, prepared.identity if is_sweep else TRAININGS)
    goes_on = True
    while goes_on:
        goes_on = is_open(store, prepared.identity, prepared.scope)
        done, tried = catalog.known(table), catalog.counts("failures", column)
        failed = sum(tried.get(each, 0) > prepared.failed.get(each, 0) for each in ids if each not in done)
        taking_part = len(watch.look())
        notes = (f"{failed} failed" if failed else "", f"{taking_part or 'nobody'} taking part" if goes_on else "")
        yield sum(each in done for each in ids) + failed, len(ids), ", ".join(filter(None, notes))
        if goes_on:
            time.sleep(_LOOK_EVERY_S)


def withdraw(root: Root, what: str) -> list[StoredPlan]:
    """Withdraw what is open below a root, and return it: who takes part notices, ends its batch and leaves.

    What is done stays; to submit it again takes up the rest.

    Args:
        root: The root.
        what: Name of a sweep or training, or the beginning of an id.

    Raises:
        InputError: Nothing of that name is open.
        StorageError: The store did not answer.
    """
    plans = open_plans(root.store)
    found = [plan for plan in plans if plan.answers_to(what)]
    if not found:
        names = ", ".join(f"{plan.name} ({plan.identity[:8]})" for plan in plans) or "nothing"
        raise InputError(f"nothing named {what!r} is open below {root.uri}", hint=f"open there: {names}")
    for plan in found:
        withdraw_plan(root.store, plan)
    return found
