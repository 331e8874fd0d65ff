"""The batches of a sweep that one run does, where any number of runs on one root divide the sweep among themselves.

Which stretch is whose is decided by `tasks.claims`; here is what a stretch of a plan is, and when nobody needs to do it
any more: when each of its cells is done, or has failed on record since the plan was made.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from nst.errors import StorageError
from tasks.claims import Claims, claims_of_group
from tasks.heartbeat import Watch, nobody_is_left
from tasks.jobs import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from nst.planning.batches import Plan
    from nst.records import Batch
    from tasks.planning.sweep import PreparedSweep
    from tasks.root import Root

    Told = Callable[[list[str], tuple[Failure, ...]], None]
    """Called with the ids of cells that others have done, and with the failures that others have recorded."""

LOGGER: Final = logging.getLogger(__name__)

_STRETCHES_PER_CHUNK: Final = 16
"""Claims are made one by one, and a device is not to wait for many of them."""

_TRIES: Final = 3
"""How often in a row the store may fail to answer."""


class Sharing:
    """What one run does of a sweep, and what it hears of the rest. Used by one thread.

    Args:
        prepared: The plan.
        participant: Id of this run as a participant; its heartbeat is there.
        told: Told what others did to the cells of the plan; never twice of one cell, and never of one that a batch of
            this run has.
    """

    def __init__(self, prepared: PreparedSweep, participant: str, told: Told) -> None:
        self._plan, self._catalog, self._told = prepared.plan, prepared.root.catalog, told
        self._stretches = self._plan.stretches()
        self._settled: set[str] = set()  # cells that others have done or tried in vain
        store = prepared.root.store
        watch = Watch(store, self._plan.sweep_id)
        self._claims: Claims | None = None
        if has_claims(prepared.root):
            group = group_of(self._plan)
            self._claims = Claims(store, group, participant, watch, stretches=self._stretches, settled=self._settle)
        elif others := watch.look() - {participant}:
            what = "cells are computed by each of them, since the store lacks create-only writes"
            LOGGER.warning("%d other runs of this sweep are going on: %s", len(others), what)
        self.is_waiting = False
        """Whether nothing is left but what others are doing."""

    @property
    def participants(self) -> int:
        """The number of runs that divide the sweep, this one included, as far as it is known."""
        return 1 + (self._claims.others if self._claims else 0)

    @property
    def most_batches(self) -> int:
        """The most batches that are to be taken at once."""
        return _STRETCHES_PER_CHUNK * max(map(len, self._stretches.values()), default=1)

    def batches(self) -> Iterator[Batch | None]:
        """Yield the batches that this run has to do, and None whenever there is none at the moment.

        Raises:
            StorageError: The store did not answer several times in a row.
        """
        if self._claims is None:
            yield from self._plan.batches()
            return
        while not self._claims.is_done:
            number = self._take(self._claims)
            self.is_waiting = number is None
            if number is None:
                yield None
                continue
            for index in self._stretches[number]:
                batch = self._plan.batch(index, without=self._settled)
                if batch:
                    yield batch

    def _take(self, claims: Claims) -> int | None:
        for attempt in range(1, _TRIES + 1):
            try:
                return claims.take()
            except StorageError:
                if attempt == _TRIES:
                    raise
        return None

    def _settle(self, numbers: Sequence[int]) -> list[int]:
        """Return which of some stretches need nobody any more, and tell what is new about their cells."""
        cells = {number: self._open_cells(number) for number in numbers}
        done = self._catalog.known("results")
        new = [cell for ids in cells.values() for cell in ids if cell in done]
        self._settled.update(new)
        failures = self._failures({cell for ids in cells.values() for cell in ids if cell not in self._settled})
        self._settled.update(failure.cell_id for failure in failures)
        if new or failures:
            self._told(new, failures)
        return [number for number, ids in cells.items() if self._settled.issuperset(ids)]

    def _open_cells(self, number: int) -> list[str]:
        ids = (cell for index in self._stretches[number] for cell in self._plan.ids_of(index))
        return [cell for cell in ids if cell not in self._settled]

    def _failures(self, cells: set[str]) -> tuple[Failure, ...]:
        """Return the last failure of each of these cells that has failed since the plan was made."""
        if not cells:
            return ()
        columns = ["cell_id", "error_class", "error_message"]
        found: dict[str, list[Failure]] = {}
        for row in self._catalog.read("failures", columns, where=("cell_id", cells)).to_pylist():
            found.setdefault(row["cell_id"], []).append(Failure(*(row[name] or "" for name in columns)))
        return tuple(each[-1] for cell, each in found.items() if len(each) > self._plan.failed.get(cell, 0))


def has_claims(root: Root) -> bool:
    """Return whether runs below a root can divide a sweep among themselves."""
    return not (root.single_publisher or root.store.emulates_create)


def group_of(plan: Plan) -> str:
    """Return the group of a plan's claims."""
    return f"{plan.sweep_id}-{plan.scope}" if plan.scope else plan.sweep_id


def clear(root: Root, plan: Plan) -> None:
    """Remove the claims of a sweep that is done, unless somebody else is still taking part in it, or the store fails.

    Whoever begins to take part afterwards writes a heartbeat first and then sees that all is done.
    """
    if not has_claims(root):
        return
    with contextlib.suppress(StorageError):
        if nobody_is_left(root.store, plan.sweep_id):
            root.catalog.ledger("results").delete(claims_of_group(root.store, group_of(plan)))  # several at once
