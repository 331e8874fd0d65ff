"""Plans below the root: all who take part in a sweep or a training do so by the plan that was made at its submission.

The problem: a machine that helps with a sweep has not the manifest, nor the folder that its inputs are relative to, and
a folder that is looked at an hour later may hold other files. Where two participants had different plans, they would
divide different sweeps.

The rule: `state/plans/<id>.json` holds what a submission was resolved to (`tasks.planning.resolved`), and how often
each cell had failed before it: a cell that fails once after it is not tried again until somebody submits the sweep
anew. It is there as long as the sweep is open. What is made of it is checked against its id, so that another version of
nst whose cells differ refuses to take part.

A plan with a signed link in it is not stored, since what is below a root holds no credentials.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import AwareDatetime, TypeAdapter

from nst.errors import InputError, StorageError, TransientError, UserError
from nst.manifest.sweep import check_manifest
from nst.manifest.training import check_train_manifest
from nst.redaction import redacted
from nst.yaml.json_text import checked_json
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.uris import stat_uri
from tasks.models.choose import trained_models
from tasks.planning.resolved import ResolvedSweep, ResolvedTraining
from tasks.planning.sweep import PreparedSweep, plan_cells
from tasks.planning.training import PreparedTraining, plan_models
from tasks.store.opening import locate

if TYPE_CHECKING:
    from tasks.root import Root
    from tasks.store import Store

_Prepared = TypeVar("_Prepared", PreparedSweep, PreparedTraining)

_PREFIX: Final = "state/plans/"

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
    """

    name: str
    identity: str
    scope: str
    sweep: ResolvedSweep | None
    training: ResolvedTraining | None
    failed: dict[str, int] = field(repr=False)
    submitted_at: AwareDatetime
    nst_version: str

    def __post_init__(self) -> None:
        if (self.sweep is None) == (self.training is None):
            raise ValueError("a plan is of a sweep or of a training")

    @property
    def key(self) -> str:
        """The key of its object."""
        return _key(self.identity, self.scope)

    @property
    def resolved(self) -> ResolvedSweep | ResolvedTraining:
        """The manifest and its inputs."""
        found = self.sweep or self.training
        assert found is not None
        return found


_PLAN: Final = TypeAdapter(StoredPlan)


def submit(prepared: PreparedSweep | PreparedTraining, *, must: bool = False) -> None:
    """Store the plan of a sweep or a training; one that was there is replaced.

    Args:
        prepared: The plan.
        must: Whether it is no use otherwise; whoever runs it at once can do without.

    Raises:
        InputError: It cannot be stored, and must.
    """
    ids = set(prepared.ids)
    stored = StoredPlan(
        name=prepared.name,
        identity=prepared.identity,
        scope=prepared.scope,
        sweep=prepared.resolved if isinstance(prepared, PreparedSweep) else None,
        training=prepared.resolved if isinstance(prepared, PreparedTraining) else None,
        failed={key: count for key, count in prepared.failed.items() if key in ids},
        submitted_at=datetime.now(UTC),
        nst_version=version("nst-batch"),
    )
    data = _encoded(stored)
    if data:
        prepared.root.store.put(stored.key, data)
    elif must:
        text = f"{prepared.name} has an input behind a link with a signature or a password, which roots do not hold"
        raise InputError(text, hint="name it by another location, or run it with nst run")


def _encoded(stored: StoredPlan) -> bytes | None:
    """Return a plan as JSON; None if it holds a credential, or the name of a file that no text can hold."""
    try:
        data = _PLAN.dump_json(stored)
    except ValueError:
        return None
    text = data.decode()
    return data if redacted(text) == text and '"link":"h' not in text else None


def find_plan(store: Store, identity: str, scope: str = "") -> StoredPlan | None:
    """Return the stored plan of a sweep or a training; None if there is none that this version of nst can read."""
    try:
        return checked_json(_PLAN, store.get(_key(identity, scope), max_bytes=_MOST_BYTES))
    except (FileNotFoundError, InputError, ValueError):
        return None


def open_plans(store: Store) -> list[StoredPlan]:
    """Return the stored plans that this version of nst can read, the oldest first."""
    found: list[StoredPlan] = []
    for stat in store.list(_PREFIX):
        with contextlib.suppress(FileNotFoundError, InputError, ValueError):  # it was closed, or no run wrote this
            plan = checked_json(_PLAN, store.get(stat.key, max_bytes=_MOST_BYTES))
            if plan.key == stat.key:  # a copy under another name would never be closed
                found.append(plan)
    return sorted(found, key=lambda plan: (plan.submitted_at, plan.identity))


def open_ids(store: Store) -> set[str]:
    """Return the ids of the sweeps and trainings that have a stored plan, of whatever version."""
    return {stat.key.removeprefix(_PREFIX).removesuffix(".json").partition("-")[0] for stat in store.list(_PREFIX)}


def close(store: Store, identity: str, scope: str = "") -> None:
    """Remove the stored plan of a sweep or a training, unless the store fails."""
    with contextlib.suppress(StorageError):
        store.delete(_key(identity, scope))


def joined(prepared: _Prepared, *, with_others: bool) -> _Prepared:
    """Return the plan by which to take part: that of others who are at it, or else this one, which is stored.

    What has failed since the others' submission is not tried again by anybody.
    """
    store = prepared.root.store
    stored = find_plan(store, prepared.identity, prepared.scope) if with_others else None
    if stored:
        return prepared.counting_from(stored.failed)
    submit(prepared)
    return prepared


def plans_of_sweep(store: Store, sweep_id: str) -> list[str]:
    """Return the keys of the stored plans of a sweep, whatever part of it they run."""
    return [stat.key for stat in store.list(f"{_PREFIX}{sweep_id}")]


def prepare_stored(stored: StoredPlan, root: Root, inputs: str = "") -> PreparedSweep | PreparedTraining:
    """Plan a submission on this machine, minus what is done.

    Args:
        stored: The submission.
        root: The root that it lies below.
        inputs: Folder that local inputs must lie in, where the root is not on this machine: what a bucket says is not
            to be trusted with any file of this machine.

    Raises:
        UserError: This machine lacks an input, or this version of nst makes other cells of the manifest.
    """
    base = BaseUri.of(f"{root.uri.rstrip('/')}/{stored.key}", inputs)
    resolved = stored.resolved.here()
    _check_inputs(resolved, base)
    try:
        prepared = _planned(stored, resolved, root)
    except (ArithmeticError, LookupError, ValueError) as error:  # it lacks what the manifest needs, or says nonsense
        raise _other_cells(stored) from error
    if (prepared.identity, prepared.scope) != (stored.identity, stored.scope):
        raise _other_cells(stored)
    return prepared


def _planned(
    stored: StoredPlan, resolved: ResolvedSweep | ResolvedTraining, root: Root
) -> PreparedSweep | PreparedTraining:
    if isinstance(resolved, ResolvedTraining):
        return _models_of(resolved, root, dict(stored.failed))
    trained = {model.model_id: model.ref for model in trained_models(root.catalog)}
    resolved, source = resolved.with_trained(trained), resolved.source
    manifest = check_manifest(source.declaration)
    trainings = tuple(_models_of(training, root) for training in resolved.trainings)
    cells = resolved.cells(manifest)
    return plan_cells(resolved, cells, manifest, source, root, trainings=trainings, failed=stored.failed)


def _models_of(resolved: ResolvedTraining, root: Root, failed: dict[str, int] | None = None) -> PreparedTraining:
    source = resolved.source
    return plan_models(resolved, check_train_manifest(source.declaration), source, root, failed=failed)


def _other_cells(stored: StoredPlan) -> UserError:
    planned = f"than nst {stored.nst_version}, which planned it"
    return UserError(
        f"nst {version('nst-batch')} makes other cells of {stored.name} {planned}",
        hint="take part with the same version, or submit the manifest anew",
    )


def _check_inputs(resolved: ResolvedSweep | ResolvedTraining, base: BaseUri) -> None:
    """Look for every local input, and of each other place for one: a machine that lacks them would fail every cell.

    Raises:
        InputError: One is not there, may not be read, or its place does not answer.
    """
    places: set[str] = set()
    try:
        for uri in dict.fromkeys(resolved.uris()):
            joined = base.join(uri)  # whatever the spelling of a local file, it is held to the bounds
            is_local = locate(joined).is_local
            place = joined if is_local else "/".join(joined.split("/")[:3])
            if place not in places:
                places.add(place)
                stat_uri(joined)
    except (UserError, TransientError) as error:  # a site that does not answer holds up nothing but this plan
        raise InputError(f"this machine cannot take part: {error.message}", hint=error.hint) from error


def _key(identity: str, scope: str) -> str:
    return f"{_PREFIX}{identity}{f'-{scope}' if scope else ''}.json"
