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

import re
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, TypeVar

from nst.errors import InputError, TransientError, UserError
from nst.manifest.sweep import check_manifest
from nst.manifest.training import check_train_manifest
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.uris import stat_uri
from tasks.models.choose import trained_models
from tasks.planning.hindrances import forget_hindrances
from tasks.planning.plan_files import StoredPlan, encoded, find_plan
from tasks.planning.resolved import ResolvedSweep, ResolvedTraining, digests_of
from tasks.planning.sweep import PreparedSweep, plan_cells
from tasks.planning.training import PreparedTraining, plan_models
from tasks.planning.withdrawal import withdrawal_key
from tasks.processes import named_user
from tasks.store.opening import locate

if TYPE_CHECKING:
    from nst.records import ModelRef
    from tasks.root import Root

_DIGEST: Final = re.compile(r"(sha256-)?[0-9a-f]{64}")
"""Of a whole file: a plan that says less may have been edited, and would take any file of a machine for its own."""

_Prepared = TypeVar("_Prepared", PreparedSweep, PreparedTraining)


def submit(
    prepared: PreparedSweep | PreparedTraining, *, must: bool = False, continued: StoredPlan | None = None
) -> None:
    """Store the plan of a sweep or a training; one that was there is replaced.

    Args:
        prepared: The plan.
        must: Whether it is no use otherwise; whoever runs it at once can do without.
        continued: The submission that this one goes on with: what had failed before it, and when it was, stay.

    Raises:
        InputError: It cannot be stored, and must.
    """
    ids = set(prepared.ids)
    failed = {key: count for key, count in prepared.failed.items() if key in ids}
    stored = StoredPlan(
        name=prepared.name,
        identity=prepared.identity,
        scope=prepared.scope,
        sweep=prepared.resolved if isinstance(prepared, PreparedSweep) else None,
        training=prepared.resolved if isinstance(prepared, PreparedTraining) else None,
        failed=continued.failed if continued else failed,
        submitted_at=continued.submitted_at if continued else datetime.now(UTC),
        nst_version=version("nst-batch"),
        submitted_by=continued.submitted_by if continued else named_user(),
    )
    data, store = encoded(stored), prepared.root.store
    if data:
        store.put(stored.key, data)
    elif must:
        text = f"{prepared.name} has an input behind a link with a signature or a password, which roots do not hold"
        raise InputError(text, hint="name it by another location, or run it with nst run")
    store.delete(withdrawal_key(stored.identity))
    forget_hindrances(store, stored.identity)


def submitted_by(prepared: PreparedSweep | PreparedTraining) -> str | None:
    """Return who submitted what is about to be done; of what nobody has stored, whoever runs it."""
    stored = find_plan(prepared.root.store, prepared.identity, prepared.scope)
    return stored.submitted_by if stored else named_user()


def has_moved(prepared: PreparedSweep | PreparedTraining, stored: StoredPlan) -> bool:
    """Return whether a plan reads an input where its stored one does not."""
    before = stored.resolved
    if isinstance(before, ResolvedSweep):
        before = before.with_trained(_trained(prepared.root))
    return not set(before.uris()).issuperset(prepared.resolved.uris())


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
    resolved, source = resolved.with_trained(_trained(root)), resolved.source
    manifest = check_manifest(source.declaration)
    trainings = tuple(_models_of(training, root) for training in resolved.trainings)
    cells = resolved.cells(manifest)
    return plan_cells(resolved, cells, manifest, source, root, trainings=trainings, failed=stored.failed)


def _trained(root: Root) -> dict[str, ModelRef]:
    """Return the models that are trained now, by their ids."""
    return {model.model_id: model.ref for model in trained_models(root.catalog)}


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
    digests, places = dict(digests_of(resolved)), set[str]()
    try:
        for uri in dict.fromkeys(resolved.uris()):
            joined = base.join(uri)  # whatever the spelling of a local file, it is held to the bounds
            is_local = locate(joined).is_local
            if is_local and not _DIGEST.fullmatch(digests.get(uri, "")):
                raise InputError(f"the plan does not say which file {uri} was", hint="submit the manifest anew")
            place = joined if is_local else "/".join(joined.split("/")[:3])
            if place not in places:
                places.add(place)
                stat_uri(joined)
    except (UserError, TransientError) as error:  # a site that does not answer holds up nothing but this plan
        raise InputError(f"this machine cannot take part: {error.message}", hint=error.hint) from error
