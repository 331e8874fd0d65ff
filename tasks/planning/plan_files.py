"""The objects of stored plans: what they hold, which of them can be read, and what is wrong with the others.

`tasks.planning.stored` says what they are for. One that cannot be read holds nobody up, and is named wherever somebody
looks for what is open: a sweep that is not listed any more would be taken for one that is done.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from pydantic import AwareDatetime, TypeAdapter

from nst.errors import InputError, StorageError
from nst.redaction import redacted
from nst.yaml.json_text import checked_json
from tasks.planning.hindrances import forget_hindrances
from tasks.planning.resolved import ResolvedSweep, ResolvedTraining  # noqa: TC001  records are read with them

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tasks.store import Store

_PREFIX: Final = "state/plans/"

_SHORTEST_ID: Final = 4

_MOST_BYTES: Final = 2**28
"""Of a plan; one of a million cells that somebody chose, each by its id, has a sixth of that."""


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as its object holds it.

    Attributes:
        name: Name of the manifest.
        identity: Id of the sweep, or of the training manifest with its models.
        scope: As `nst.planning.batches.Plan.scope`.
        sweep: The sweep; None of a training.
        training: The training; None of a sweep.
        failed: Number of failed attempts by the id of a cell or model when it was submitted.
        submitted_at: When it was submitted.
        nst_version: Version of nst that it was submitted with.
        submitted_by: Who submitted it, for the accounts (`NST_USER`); None for nobody named.
    """

    name: str
    identity: str
    scope: str
    sweep: ResolvedSweep | None
    training: ResolvedTraining | None
    failed: dict[str, int] = field(repr=False)
    submitted_at: AwareDatetime
    nst_version: str
    submitted_by: str | None = None

    def __post_init__(self) -> None:
        if (self.sweep is None) == (self.training is None):
            raise ValueError("a plan is of a sweep or of a training")

    @property
    def key(self) -> str:
        """The key of its object."""
        return plan_key(self.identity, self.scope)

    @property
    def due_again(self) -> Counter[str]:
        """The failed attempts before its submission, of the cells or models that it tries again."""
        only = self.sweep.only if self.sweep else None
        if only is None:
            return Counter(self.failed)
        return Counter({cell: self.failed[cell] for cell in only if cell in self.failed})

    def answers_to(self, what: str) -> bool:
        """Return whether a text is the plan's name, or the beginning of its id in at least four digits."""
        return is_meant(what, self.name, self.identity)

    @property
    def resolved(self) -> ResolvedSweep | ResolvedTraining:
        """The manifest and its inputs."""
        found = self.sweep or self.training
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class UnreadablePlan:
    """An object among the stored plans that this version of nst can do nothing with.

    Attributes:
        key: Its key.
        what: What is wrong with it, in one line.
        is_damaged: Whether no version of nst can read it; other versions can read their own.
    """

    key: str
    what: str
    is_damaged: bool

    @property
    def name(self) -> str:
        """What it is called in messages: the id of a sweep or training, where its key says one."""
        return _id_of(self.key)

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.is_damaged:
            return "submit its manifest anew; `nst repair` removes what no version can read"
        return "take part with the version that wrote it, or submit its manifest anew"

    def __str__(self) -> str:
        return f"plan {self.name} {self.what}"


@dataclass(frozen=True, slots=True)
class _Version:
    """The part of a plan that every version of nst understands."""

    nst_version: str


_PLAN: Final = TypeAdapter(StoredPlan)
_VERSION: Final = TypeAdapter(_Version)

_Found = StoredPlan | UnreadablePlan

_REMEMBERED: Final[WeakKeyDictionary[Store, dict[str, tuple[str, _Found | None]]]] = WeakKeyDictionary()
"""What the plans of a store were when it was looked at last, by key and with their etags: who stays and takes part
looks every few seconds, and a plan that has not changed is not fetched again."""


def is_meant(what: str, name: str, identity: str) -> bool:
    """Return whether a text is the name of a sweep or training, or the beginning of its id in at least four digits."""
    return what == name or (len(what) >= _SHORTEST_ID and identity.startswith(what))


def plan_key(identity: str, scope: str = "") -> str:
    """Return the key of the plan of a sweep or a training."""
    return f"{_PREFIX}{identity}{f'-{scope}' if scope else ''}.json"


def encoded(plan: StoredPlan) -> bytes | None:
    """Return a plan as JSON; None if it holds a credential, or the name of a file that no text can hold."""
    try:
        data = _PLAN.dump_json(plan)
    except ValueError:
        return None
    text = data.decode()
    return data if redacted(text) == text and '"link":"h' not in text else None


def find_plan(store: Store, identity: str, scope: str = "") -> StoredPlan | None:
    """Return the stored plan of a sweep or a training; None if there is none that this version of nst can read."""
    found = _read(store, plan_key(identity, scope))
    return found if isinstance(found, StoredPlan) else None


def is_open(store: Store, identity: str, scope: str = "") -> bool:
    """Return whether a sweep or a training has a stored plan, of whatever version."""
    return store.head(plan_key(identity, scope)) is not None


def read_plans(store: Store) -> tuple[list[StoredPlan], list[UnreadablePlan]]:
    """Return the stored plans, the oldest first, and those that this version of nst cannot read, by their keys.

    Raises:
        StorageError: The store did not answer.
    """
    found = [_read(store, stat.key) for stat in store.list(_PREFIX)]
    return _oldest_first(found), [each for each in found if isinstance(each, UnreadablePlan)]


def unreadable_plan(store: Store, key: str) -> UnreadablePlan | None:
    """Return what is wrong with a plan now; None if it can be read, or is not there."""
    found = _read(store, key)
    return found if isinstance(found, UnreadablePlan) else None


def open_plans(store: Store) -> list[StoredPlan]:
    """Return the stored plans that this version of nst can read, the oldest first; those that are new are fetched."""
    before, now = _REMEMBERED.get(store, {}), dict[str, tuple[str, _Found | None]]()
    for stat in store.list(_PREFIX):
        etag, found = before.get(stat.key, ("", None))
        now[stat.key] = stat.etag, found if stat.etag and stat.etag == etag else _read(store, stat.key)
    _REMEMBERED[store] = now
    return _oldest_first(found for _, found in now.values())


def _oldest_first(found: Iterable[_Found | None]) -> list[StoredPlan]:
    plans = (each for each in found if isinstance(each, StoredPlan))
    return sorted(plans, key=lambda plan: (plan.submitted_at, plan.identity))


def open_ids(store: Store) -> set[str]:
    """Return the ids of the sweeps and trainings that have a stored plan, of whatever version."""
    return {_id_of(stat.key) for stat in store.list(_PREFIX)}


def close(store: Store, identity: str, scope: str = "") -> None:
    """Remove the stored plan of a sweep or a training, unless the store fails."""
    with contextlib.suppress(StorageError):
        store.delete(plan_key(identity, scope))
        forget_hindrances(store, identity)


def plan_texts(store: Store) -> Iterator[bytes]:
    """Yield the bytes of each stored plan, of whatever version, also of one that is damaged.

    Raises:
        StorageError: The store did not answer.
        InputError: One is larger than any plan.
    """
    for stat in store.list(_PREFIX):
        with contextlib.suppress(FileNotFoundError):  # it was closed
            yield store.get(stat.key, max_bytes=_MOST_BYTES)


def plans_of_sweep(store: Store, sweep_id: str) -> list[str]:
    """Return the keys of the stored plans of a sweep, whatever part of it they run."""
    return [stat.key for stat in store.list(f"{_PREFIX}{sweep_id}")]


def _read(store: Store, key: str) -> _Found | None:
    """Return what an object is; None if there is none any more."""
    try:
        data = store.get(key, max_bytes=_MOST_BYTES)
        plan = checked_json(_PLAN, data)
    except FileNotFoundError:  # it was closed
        return None
    except InputError as error:  # it is too large, or comes too slowly: another machine may be able to
        return UnreadablePlan(key, f"cannot be read: {error.message}", is_damaged=False)
    except ValueError as error:
        return _unreadable(key, data, error)
    if plan.key == key:
        return plan
    return UnreadablePlan(key, f"is a copy of plan {_id_of(plan.key)} under another key", is_damaged=True)


def _unreadable(key: str, data: bytes, error: ValueError) -> UnreadablePlan:
    mine = version("nst-batch")
    try:
        written_by = checked_json(_VERSION, data).nst_version
    except ValueError:
        return UnreadablePlan(key, f"is damaged: {error}", is_damaged=True)
    if written_by == mine:
        return UnreadablePlan(key, f"is damaged: {error}", is_damaged=True)
    return UnreadablePlan(key, f"is of nst {written_by[:20]}, and this is nst {mine}", is_damaged=False)


def _id_of(key: str) -> str:
    return key.removeprefix(_PREFIX).removesuffix(".json").partition("-")[0]
