"""Submitting an order: it is planned and put on record, and done by whoever takes part (`flows.order.participation`).

manifest -> plan -> local inputs copied below the root -> sweep registered -> plan stored
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from flows.order.summary import duration
from tasks.effect import call_with_policy
from tasks.heartbeat import TRAININGS, Watch
from tasks.maintenance import publish_all
from tasks.planning.registration import register_sweep
from tasks.planning.stored import find_plan
from tasks.planning.stored import submit as store_plan
from tasks.planning.sweep import PreparedSweep
from tasks.planning.training import register_training
from tasks.planning.uploading import uploaded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.order.order import Order

_LOOK_EVERY_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission.

    Attributes:
        what: The name of the manifest and the beginning of its id.
        noun: What is counted: cells or models.
        to_do: How many of them are to be done.
        seconds: How long that takes one device, None if nothing is known.
        copied: Local files that were copied below the root.
        was_open: Whether it had been submitted before and is not done yet; nothing has changed then.
    """

    what: str
    noun: str
    to_do: int
    seconds: float | None
    copied: int
    was_open: bool

    def line(self) -> str:
        """Return it as a line for people."""
        if not self.to_do:
            return f"{self.what}: all is done already"
        if self.was_open:
            return f"{self.what}: submitted before, {self.to_do:,} {self.noun} are still to be done"
        long = "" if self.seconds is None else f", about {duration(self.seconds)} on one device like those before"
        copied = f"; {self.copied:,} inputs copied below the root" if self.copied else ""
        return f"{self.what}: submitted, {self.to_do:,} {self.noun} to do{long}{copied}"


def submit_order(order: Order[Any]) -> Submitted:
    """Put an order on record; one that is open stays as it is.

    Raises:
        InputError: An input changed meanwhile, or cannot be stored, as one behind a signed link.
        TransientError: The store did not answer; to submit again is safe.
    """
    prepared = order.prepared
    identity, store = prepared.identity, prepared.root.store
    what = f"{prepared.name} ({identity[:8]})"
    seconds = prepared.plan.seconds if isinstance(prepared, PreparedSweep) else None
    copied, was_open = 0, find_plan(store, identity, prepared.scope) is not None
    if not was_open:
        prepared, copied = uploaded(prepared)
        if isinstance(prepared, PreparedSweep):
            register_sweep(prepared)
        else:
            register_training(prepared)
        call_with_policy(publish_all, prepared.root.catalog)
        if order.to_do:
            store_plan(prepared, must=True)
    return Submitted(what, order.noun, order.to_do, seconds, copied, was_open)


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
    is_open = True
    while is_open:
        is_open = find_plan(store, prepared.identity, prepared.scope) is not None
        done, tried = catalog.known(table), catalog.counts("failures", column)
        failed = sum(tried.get(each, 0) > prepared.failed.get(each, 0) for each in ids if each not in done)
        taking_part = len(watch.look())
        notes = (f"{failed} failed" if failed else "", f"{taking_part or 'nobody'} taking part" if is_open else "")
        yield sum(each in done for each in ids) + failed, len(ids), ", ".join(filter(None, notes))
        if is_open:
            time.sleep(_LOOK_EVERY_S)
