"""The part of a sweep, or of trainings, that one run does, where any number of runs on one root divide it.

Which stretch is whose is decided by `tasks.claims`; here is what a stretch is, and when nobody needs to do it any more:
when each of its cells, or its model, is done, or has failed on record since the plan was made.
"""

from __future__ import annotations

import contextlib
import logging
import random
import time
from typing import TYPE_CHECKING, Final, NoReturn

from nst.errors import StorageError, Withdrawn
from tasks.claims import LOOK_S, Claims, claims_of_group
from tasks.events import event
from tasks.heartbeat import TRAININGS, Watch, nobody_is_left
from tasks.jobs import Failure
from tasks.models.choose import TRAINING_METHOD
from tasks.planning.plan_files import close, is_open

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from nst.planning.batches import Plan
    from nst.records import Batch
    from tasks.catalog import Catalog
    from tasks.jobs import TrainingJob
    from tasks.planning.sweep import PreparedSweep
    from tasks.planning.training import PreparedTraining
    from tasks.root import Root

    Told = Callable[[list[str], tuple[Failure, ...]], None]
    """Called with the ids of what others have done, and with the failures that others have recorded."""

LOGGER: Final = logging.getLogger("nst.sharing")

_STRETCHES_PER_CHUNK: Final = 16
"""Claims are made one by one, and a device is not to wait for many of them."""

_DELETED_AT_ONCE: Final = 128

_TRIES: Final = 3
"""How often in a row the store may fail to answer."""


class Sharing:
    """What one run does of a sweep, and what it hears of the rest. Used by one thread.

    Args:
        prepared: The plan.
        participant: Id of this run as a participant; its heartbeat is there.
        told: Told what others did to the cells of the plan; never twice of one cell, and never of one that a batch of
            this run has.
        is_held_up: Whether this run could not begin what it takes: it takes nothing then.
        is_enough: Whether this run has done its share: it takes nothing more, and leaves the rest to others.
    """

    def __init__(
        self,
        prepared: PreparedSweep,
        participant: str,
        told: Told,
        is_held_up: Callable[[], bool] = lambda: False,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self._is_held_up, self._is_enough = is_held_up, is_enough
        self._withdrawal = _Withdrawal(prepared)
        self._about = {"sweep": prepared.identity, "name": prepared.name, "participant": participant}
        self._plan, self._catalog, self._told = prepared.plan, prepared.root.catalog, told
        self._stretches = self._plan.stretches()
        self._settled: set[str] = set()  # cells that others have done or tried in vain
        store = prepared.root.store
        watch = Watch(store, self._plan.sweep_id)
        self._claims: Claims | None = None
        if has_claims(prepared.root):
            self._claims = Claims(
                store,
                group_of(self._plan),
                participant,
                watch,
                stretches=self._stretches,
                settled=self._settle,
                on_taken_over=lambda stretch, owner: event("taken_over", **self._about, stretch=stretch, owner=owner),
            )
        elif others := watch.look() - {participant}:
            what = "each computes all cells, since the store lacks create-only writes"
            LOGGER.warning("%d other participants of this sweep: %s", len(others), what)
        self._stretch_of: dict[str, int] = {}  # by the id of a batch that was yielded and not asked for yet
        self.is_waiting = False
        """Whether nothing is left but what others are doing."""

    @property
    def participants(self) -> int:
        """The number of runs that divide the sweep, this one included, as far as it is known."""
        return 1 + (self._claims.others if self._claims else 0)

    @property
    def left(self) -> float:
        """The share of the sweep that is still to be divided; 1 as long as there is nobody to divide it with."""
        return self._claims.left / len(self._stretches) if self._claims and self.participants > 1 else 1.0

    def ahead(self, devices: int) -> int:
        """Return how many chunks this run is to have in hand beside those that its devices do.

        One for each device, so that it never waits for the next; none towards the end, which would be somebody else's.

        Args:
            devices: Number of devices of this run.
        """
        is_short = self._claims is not None and self._claims.left <= 2 * devices * self.participants
        return 0 if is_short else devices

    @property
    def leads(self) -> bool:
        """Whether this run does what one of all of them has to do, such as publishing."""
        return self._claims is None or self._claims.leads

    @property
    def most_batches(self) -> int:
        """The most batches that are to be taken at once."""
        return _STRETCHES_PER_CHUNK * max(map(len, self._stretches.values()), default=1)

    def batches(self) -> Iterator[Batch | None]:
        """Yield the batches that this run has to do, and None whenever there is none at the moment.

        Raises:
            StorageError: The store did not answer several times in a row.
            Withdrawn: Somebody has withdrawn the sweep.
        """
        if self._claims is None:
            yield from self._plan.batches()
            return
        while not self._claims.is_done and not self._is_enough():
            if self._withdrawal.is_near() and not self._claims.settle():
                self._withdrawal.tell()
            is_held_up = self._is_held_up()
            number = _take(self._claims, only_look=is_held_up)
            self.is_waiting = number is None and not is_held_up
            if number is None:
                yield None
                continue
            for index in self._stretches[number]:
                batch = self._plan.batch(index, without=self._settled)
                if batch:
                    self._stretch_of[batch.batch_id] = number
                    yield batch

    def stretches_of(self, batches: Iterable[Batch]) -> list[int]:
        """Return the numbers of the stretches that batches were taken with, in order; to be asked once of each batch.

        There are none where the store lacks create-only writes, since nothing is divided then.
        """
        found = (self._stretch_of.pop(batch.batch_id, None) for batch in batches)
        return list(dict.fromkeys(number for number in found if number is not None))

    def _settle(self, numbers: Sequence[int]) -> list[int]:
        """Return which of some stretches need nobody any more, and tell what is new about their cells."""
        cells = {number: self._open_cells(number) for number in numbers}
        done = self._catalog.known("results")
        new = [cell for ids in cells.values() for cell in ids if cell in done]
        self._settled.update(new)
        open_cells = {cell for ids in cells.values() for cell in ids if cell not in self._settled}
        failures = _failures(self._catalog, "cell_id", open_cells, self._plan.failed)
        self._settled.update(failure.cell_id for failure in failures)
        if new or failures:
            self._told(new, failures)
        return [number for number, ids in cells.items() if self._settled.issuperset(ids)]

    def _open_cells(self, number: int) -> list[str]:
        ids = (cell for index in self._stretches[number] for cell in self._plan.ids_of(index))
        return [cell for cell in ids if cell not in self._settled]


class _Withdrawal:
    """Notices that a plan which was open is not any more: all is done, or somebody has withdrawn it.

    Args:
        prepared: The plan. One that was not stored, as one with a signed link, cannot be withdrawn.
    """

    def __init__(self, prepared: PreparedSweep | PreparedTraining) -> None:
        self._name, self._store, self._plan = prepared.name, prepared.root.store, (prepared.identity, prepared.scope)
        self._was_open = is_open(self._store, *self._plan)
        self._looked = time.monotonic()

    def is_near(self) -> bool:
        """Return whether the plan is gone; looked at now and then, and never if it was not there."""
        if not self._was_open or time.monotonic() - self._looked < LOOK_S:
            return False
        self._looked = time.monotonic()
        return not is_open(self._store, *self._plan)

    def tell(self) -> NoReturn:
        """End the participation in a plan of which something is left.

        Raises:
            Withdrawn: Always.
        """
        raise Withdrawn(f"{self._name} was withdrawn")


class SharedTrainings:
    """What one run trains, and what it hears of the rest. A model is one stretch. Used by one thread.

    Args:
        prepared: The plan.
        participant: Id of this run as a participant of `TRAININGS`; its heartbeat is there.
        told: Told of the models that others have trained, or tried to train in vain; never twice of one model.
        is_held_up, is_enough: As for `Sharing`.
    """

    def __init__(
        self,
        prepared: PreparedTraining,
        participant: str,
        told: Told,
        is_held_up: Callable[[], bool] = lambda: False,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> None:
        self._prepared, self._told = prepared, told
        self._is_held_up, self._is_enough = is_held_up, is_enough
        self._withdrawal = _Withdrawal(prepared)
        self._specs = {_number(spec.model_id): spec for spec in prepared.to_do}
        self._claims: Claims | None = None
        if has_claims(prepared.root):
            store = prepared.root.store
            watch = Watch(store, TRAININGS)
            self._claims = Claims(store, TRAININGS, participant, watch, stretches=self._specs, settled=self._settle)

    def jobs(self) -> Iterator[TrainingJob | None]:
        """Yield the trainings of this run, and None whenever there is none at the moment.

        Raises:
            StorageError: The store did not answer several times in a row.
            Withdrawn: Somebody has withdrawn the training.
        """
        if self._claims is None:
            yield from map(self._prepared.job, self._specs.values())
            return
        while not self._claims.is_done and not self._is_enough():
            if self._withdrawal.is_near() and not self._claims.settle():
                self._withdrawal.tell()
            number = _take(self._claims, only_look=self._is_held_up())
            yield None if number is None else self._prepared.job(self._specs[number])

    def _settle(self, numbers: Sequence[int]) -> list[int]:
        """Return which of some models need nobody any more, and tell of them."""
        ids = {self._specs[number].model_id: number for number in numbers}
        catalog = self._prepared.root.catalog
        trained = [each for each in ids if each in catalog.known("models")]
        failures = _failures(catalog, "model_id", ids.keys() - set(trained), self._prepared.failed)
        if trained or failures:
            self._told(trained, failures)
        return [ids[each] for each in (*trained, *(failure.cell_id for failure in failures))]


def _number(model_id: str) -> int:
    """Return the number of a model as a stretch, from its first 48 bits."""
    return int(model_id[:12], 16)


def _take(claims: Claims, *, only_look: bool) -> int | None:
    for attempt in range(1, _TRIES + 1):
        try:
            return claims.take(only_look=only_look)
        except StorageError:
            if attempt == _TRIES:
                raise
    return None


def _failures(catalog: Catalog, key: str, ids: Iterable[str], before: Mapping[str, int]) -> tuple[Failure, ...]:
    """Return the last failure of each of these cells or models that has failed more often than before."""
    wanted = set(ids)
    if not wanted:
        return ()
    columns = [key, "error_class", "error_message"]
    found: dict[str, list[Failure]] = {}
    for row in catalog.read("failures", [*columns, "method"], where=(key, wanted)).to_pylist():
        if (row["method"] == TRAINING_METHOD) == (key == "model_id"):  # a cell that runs a model names it, too
            found.setdefault(row[key], []).append(Failure(*(row[name] or "" for name in columns)))
    return tuple(each[-1] for of, each in found.items() if len(each) > before.get(of, 0))


def has_claims(root: Root) -> bool:
    """Return whether runs below a root can divide a sweep among themselves."""
    return not (root.single_publisher or root.store.emulates_create)


def group_of(plan: Plan) -> str:
    """Return the group of a plan's claims."""
    return f"{plan.sweep_id}-{plan.scope}" if plan.scope else plan.sweep_id


def leave(root: Root, plan: Plan, *, all_done: bool) -> None:
    """Close a sweep of which every cell is done or has failed.

    Its plan is removed, which those who still take part have read. Its claims are removed where all is done and nobody
    is left who takes part: whoever begins afterwards writes a heartbeat first and then sees that all is done. Of what
    has failed, the next run takes the claims over. A store that fails costs nothing but that these objects stay.
    """
    close(root.store, plan.sweep_id, plan.scope)
    with contextlib.suppress(StorageError):
        if all_done and has_claims(root) and nobody_is_left(root.store, plan.sweep_id):
            _delete_claims(root, group_of(plan))


def leave_training(prepared: PreparedTraining) -> None:
    """Close a training of which every model is trained or has failed, and remove the claims where nobody trains."""
    root = prepared.root
    close(root.store, prepared.identity)
    with contextlib.suppress(StorageError):
        if has_claims(root) and nobody_is_left(root.store, TRAININGS):
            _delete_claims(root, TRAININGS)


def _delete_claims(root: Root, group: str) -> None:
    """Remove the claims of a group, some at a time and at random: others that leave at the same moment do the same."""
    while keys := claims_of_group(root.store, group):
        some = random.sample(keys, min(len(keys), _DELETED_AT_ONCE))
        root.catalog.ledger("results").delete(some)
