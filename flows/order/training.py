"""The order of a training's steps, written once: inline, Prefect and nightly runs differ only in the engine they pass.

    manifest -> models with ids, minus those trained -> one device worker each -> published

What is trained is decided by the catalog alone, so the same call after a crash goes on from the last checkpoints. Runs
that train the same models at the same time divide them among themselves (`tasks.work.sharing`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.engine import completed
from flows.order.order import Order
from flows.order.summary import SUBMIT_AGAIN, TrainingSummary
from flows.order.tables import training_table
from tasks.effect import call_with_policy
from tasks.events import event
from tasks.heartbeat import TRAININGS, Watch, beating
from tasks.maintenance import publish_all
from tasks.models.backbone_weights import fetch_weights
from tasks.planning.stored import joined, submitted_by
from tasks.planning.training import PreparedTraining, prepare_training, register_training
from tasks.work.account import Account
from tasks.work.sharing import SharedTrainings, leave_training
from tasks.work.train_fanout import TrainingFanout

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Group

    from flows.engine import Engine
    from flows.order.request import Request
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.jobs import Failure
    from tasks.work.workers import DevicePool


def plan_training(request: Request, source: ManifestSource) -> TrainingOrder:
    """Plan a training: everything that can be wrong with it is found here, before anything starts.

    Args:
        request: What the user asks for.
        source: The request's manifest as it was read.

    Raises:
        UserError: The manifest, an input or the root cannot be used.
    """
    return TrainingOrder(prepare_training(source, request.root, inputs=request.inputs), request.devices)


class TrainingOrder(Order[PreparedTraining]):
    """A planned training and its devices."""

    kind = "train"
    noun = "models"

    @property
    def to_do(self) -> int:
        """Number of models that are not trained yet."""
        return len(self.prepared.to_do)

    def plan_table(self) -> Group:
        """Return the plan as a table, for `nst plan`."""
        return training_table(self.prepared)

    def run(self, engine: Engine, pool: DevicePool) -> TrainingSummary:
        """Train the models that are not trained yet; errors as `train_missing`."""
        with pool:
            return run_training(self.prepared, pool, engine)

    def help(
        self, engine: Engine, workers: Callable[[], DevicePool], is_enough: Callable[[], bool] = lambda: False
    ) -> TrainingSummary:
        """Train models of a manifest that somebody else has submitted; errors as `train_missing`."""
        return replace(run_training(self.prepared, workers(), engine, is_enough), again=SUBMIT_AGAIN)


def run_training(
    prepared: PreparedTraining, pool: DevicePool, engine: Engine, is_enough: Callable[[], bool] = lambda: False
) -> TrainingSummary:
    """Train what a manifest declares, with whoever else trains it; arguments and errors as `train_missing`."""
    if not prepared.to_do:
        leave_training(prepared)
        return summary_of(prepared)
    others = Watch(prepared.root.store, TRAININGS).look()
    summary = train_missing(joined(prepared, with_others=bool(others)), pool, engine, is_enough=is_enough)
    if summary.handled >= summary.wanted:
        leave_training(prepared)
    return summary


def train_missing(
    prepared: PreparedTraining,
    pool: DevicePool,
    engine: Engine,
    note: str = "",
    is_enough: Callable[[], bool] = lambda: False,
) -> TrainingSummary:
    """Train the models of a manifest that are not trained yet.

    Args:
        prepared: The plan.
        pool: The device workers; each trains one model at a time.
        engine: Carries out the trainings; with as many threads as there are workers.
        note: What the progress says.
        is_enough: Whether this run has done its share: it leaves what is not begun to others.

    Raises:
        UserError: The weights of the backbone cannot be obtained; nothing was started.
        TransientError: The store did not answer; running again goes on from the last checkpoints.
        Stopped: The engine was stopped; running again goes on from the last checkpoints.
        DeviceError: No device works any more; running again goes on from the last checkpoints.
    """
    clock = time.monotonic()
    catalog = prepared.root.catalog
    prepared = replace(prepared, trained=frozenset(catalog.keys("models", "model_id")))  # by others in the meantime
    to_do, summary = prepared.to_do, summary_of(prepared)
    register_training(prepared)
    for backbone in {spec.config.backbone for spec in to_do}:
        if prepared.weights[backbone].uri == "torchvision":
            fetch_weights(backbone.name)
    fanout = TrainingFanout(pool, catalog)

    def report() -> None:
        engine.progress(summary.handled, summary.total, summary.note(note))

    report()
    with beating(prepared.root.store, TRAININGS) as participant:
        summary.participant = participant
        event("training_begun", **summary.about(), models=summary.total, to_do=len(to_do), devices=list(pool.devices))
        account = Account(
            catalog, participant, pool, kind="train", name=prepared.name, submitted_by=submitted_by(prepared)
        )

        def hear(trained: list[str], failures: tuple[Failure, ...]) -> None:
            summary.hear(trained, failures)
            summary.models += trained
            account.by_others += len(trained)
            report()

        shared = SharedTrainings(prepared, participant, hear, lambda: pool.is_waiting, is_enough)
        taken = (job and account.takes(job) for job in shared.jobs())
        with account:
            for _, future in completed(engine, fanout.train, taken, len(pool.devices)):
                outcome = future.result()
                account.ended(outcome)
                error = str(outcome.failure) if outcome.failure else None
                event("model", **summary.about(), model=outcome.model_id, error=error)
                if outcome.failure:
                    summary.add_failures((outcome.failure,))
                else:
                    summary.done += 1
                    summary.models.append(outcome.model_id)
                report()
                call_with_policy(publish_all, catalog)
    summary.seconds = time.monotonic() - clock
    event("training_ended", **summary.facts(), seconds=summary.seconds)
    return summary


def summary_of(prepared: PreparedTraining) -> TrainingSummary:
    """Return the summary before anything is trained."""
    trained = [spec.model_id for spec in prepared.specs if spec.model_id in prepared.trained]
    return TrainingSummary(name=prepared.name, total=len(prepared.specs), done_before=len(trained), models=trained)
