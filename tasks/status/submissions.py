"""Everything that was submitted below a root, in one shape: the sweeps, and the trainings that are open.

A training that has ended is a matter of its models (`nst models`), since nothing else of it is on record.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nst.errors import InputError, NstError
from nst.manifest.training import check_train_manifest
from tasks.heartbeat import TRAININGS
from tasks.models.choose import TRAINING_METHOD
from tasks.planning.plan_files import UnreadablePlan, is_meant, read_plans
from tasks.planning.training import declared_models
from tasks.status import sweep_statuses
from tasks.status.taking_part import participants

if TYPE_CHECKING:
    from datetime import datetime

    from tasks.planning.plan_files import StoredPlan
    from tasks.root import Root
    from tasks.status import SweepStatus

State = Literal["running", "open", "withdrawn", "incomplete", "failures", "done"]


@dataclass(frozen=True, slots=True)
class Submission:
    """A sweep in cells or a training in models: `done + failed + not_tried == total`.

    Attributes:
        kind: Which of them it is.
        id: Id of the sweep, or of the training manifest with its models.
        name: Name of the manifest.
        submitted_at: When it was submitted.
        total: Its cells or models.
        done: Those that are done.
        failed: Those that have failed attempts only; while it is open, some of them since it was submitted.
        not_tried: The others.
        taking_part: How many processes take part in it. All trainings below a root share their participants, so that
            each of several open ones counts them all.
        is_open: Whether it waits for whoever takes part.
        is_withdrawn: Whether somebody has withdrawn it; whoever takes part is about to leave.
    """

    kind: Literal["sweep", "training"]
    id: str
    name: str
    submitted_at: datetime
    total: int
    done: int
    failed: int
    not_tried: int
    taking_part: int
    is_open: bool
    is_withdrawn: bool

    @property
    def noun(self) -> str:
        """What is counted."""
        return "cells" if self.kind == "sweep" else "models"

    @property
    def state(self) -> State:
        """Whether somebody is at it, or might be, or else what became of it."""
        if self.is_withdrawn and self.done < self.total:
            return "withdrawn"
        if self.taking_part:
            return "running"
        if self.is_open:
            return "open"
        if self.not_tried:
            return "incomplete"
        return "failures" if self.failed else "done"

    def to_json(self) -> dict[str, Any]:
        """Return it for `nst status --json`."""
        return {
            "kind": self.kind,
            "id": self.id,
            "name": self.name,
            "submitted_at": self.submitted_at.isoformat(),
            "state": self.state,
            "total": self.total,
            "done": self.done,
            "failed": self.failed,
            "not_tried": self.not_tried,
            "taking_part": self.taking_part,
        }


@dataclass(slots=True)
class Known:
    """What is on record of one submission beside its counts.

    Attributes:
        manifest: Where the manifest was read, as its user named it; "" if that is not on record.
        failed: Ids of the cells or models that have failed attempts only.
    """

    manifest: str = ""
    failed: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Overview:
    """What there is below a root.

    Attributes:
        uri: The root.
        submissions: The sweeps and the open trainings, the newest first.
        unreadable: Stored plans that this version of nst can do nothing with: nobody takes part in them.
        known: What else is on record of those that were asked for, by their ids.
    """

    uri: str
    submissions: tuple[Submission, ...]
    unreadable: tuple[UnreadablePlan, ...]
    known: dict[str, Known] = field(default_factory=dict)

    def find(self, wanted: str) -> tuple[Submission, ...]:
        """Return those that have this name or whose id begins with it, at least one, the newest first.

        Raises:
            InputError: There is none.
        """
        found = tuple(each for each in self.submissions if is_meant(wanted, each.name, each.id))
        if not found:
            names = ", ".join(sorted({each.name for each in self.submissions})) or "none"
            text = f"no sweep and no open training {wanted!r} below {self.uri}"
            raise InputError(text, hint=f"there are: {names}; nst models lists what is trained")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return it for `nst status --json`."""
        unreadable = [
            {"id": plan.name, "key": plan.key, "what": plan.what, "is_damaged": plan.is_damaged}
            for plan in self.unreadable
        ]
        submissions = [each.to_json() for each in self.submissions]
        return {"root": self.uri, "submissions": submissions, "unreadable_plans": unreadable}


def overview(root: Root, wanted: str = "") -> Overview:
    """Return what there is below a root, from the catalog, the stored plans and the heartbeats alone.

    Args:
        root: The root.
        wanted: Name of a sweep or training, or the beginning of its id, of which more is to be known.
    """
    found: list[Submission] = []
    known: defaultdict[str, Known] = defaultdict(Known)

    def note(identity: str, name: str, manifest: str, failed: list[str]) -> None:
        if is_meant(wanted, name, identity):
            known[identity].manifest = manifest
            known[identity].failed.update(failed)

    plans, unreadable = read_plans(root.store)
    before: defaultdict[str, Counter[str]] = defaultdict(Counter)
    while plans:  # each is forgotten when it was looked at: one may name a hundred thousand photographs
        plan = plans.pop()
        if plan.sweep:
            before[plan.identity] |= plan.due_again
        if plan.training:
            try:
                training, failed = _training(plan, root)
                found.append(training)
                note(plan.identity, plan.name, plan.training.uri, failed)
            except (NstError, ArithmeticError, LookupError, ValueError):  # as a version writes it that knows more
                what = f"is of nst {plan.nst_version}, whose manifests this one does not understand"
                unreadable.append(UnreadablePlan(plan.key, what, is_damaged=False))
    found += [_sweep(status) for status in sweep_statuses(root, note, before)]
    newest = sorted(found, key=lambda each: each.submitted_at, reverse=True)
    return Overview(root.uri, tuple(newest), tuple(unreadable), known)


def _sweep(status: SweepStatus) -> Submission:
    return Submission(
        kind="sweep",
        id=status.sweep_id,
        name=status.name,
        submitted_at=status.submitted_at,
        total=status.total,
        done=status.done,
        failed=status.failed,
        not_tried=status.to_do,
        taking_part=status.running,
        is_open=status.is_open,
        is_withdrawn=status.is_withdrawn,
    )


def _training(plan: StoredPlan, root: Root) -> tuple[Submission, list[str]]:
    """Return an open training, and its models that have failed.

    Raises:
        UserError, ArithmeticError, LookupError, ValueError: This version of nst does not understand its manifest.
    """
    assert plan.training
    manifest = check_train_manifest(plan.training.source.declaration)
    models = {spec.model_id for spec in declared_models(manifest, plan.training)}
    trained = models & root.catalog.keys("models", "model_id")
    columns, left = ["model_id", "method"], models - trained
    rows = root.catalog.read("failures", columns, where=("model_id", left)).to_pylist() if left else []
    tried = Counter(row["model_id"] for row in rows if row["method"] == TRAINING_METHOD)
    failed = (tried - Counter(plan.failed)).keys()
    training = Submission(
        kind="training",
        id=plan.identity,
        name=plan.name,
        submitted_at=plan.submitted_at,
        total=len(models),
        done=len(trained),
        failed=len(failed),
        not_tried=len(left - failed),
        taking_part=sum(each.is_alive for each in participants(root.store, TRAININGS)),
        is_open=True,
        is_withdrawn=False,
    )
    return training, sorted(failed)
