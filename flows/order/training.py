"""The order of a training's steps, written once: inline, Prefect and nightly runs differ only in the engine they pass.

    manifest -> models with ids, minus those trained -> one device worker each -> published

What is trained is decided by the catalog alone, so the same call after a crash goes on from the last checkpoints.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from flows.engine import completed
from tasks.effect import call_with_policy
from tasks.maintenance import publish_all, single_publisher
from tasks.models.backbone_weights import fetch_weights
from tasks.planning.training import PreparedTraining, prepare_training, register_training
from tasks.work.train_fanout import Trainers
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.engine import Engine
    from flows.order.request import Request
    from tasks.jobs import Failure
    from tasks.work.workers import OnStep


@dataclass(slots=True)
class TrainSummary:
    """What became of a training manifest."""

    name: str
    total: int
    trained_before: int
    trained: int = 0
    failed: int = 0
    seconds: float = 0.0
    models: list[str] = field(default_factory=list)
    """Ids of all models that are trained now."""
    failures: list[Failure] = field(default_factory=list)


def plan_training(request: Request) -> PreparedTraining:
    """Plan a training: all that can be wrong with it is found here, before anything starts.

    Raises:
        UserError: The manifest, an input or the root cannot be used.
    """
    return prepare_training(
        request.manifest, request.root, inputs=request.inputs, single=single_publisher(request.root)
    )


def run_training(
    prepared: PreparedTraining, devices: Sequence[str], engine: Engine, on_step: OnStep | None = None
) -> TrainSummary:
    """Train the models of a manifest that are not trained yet, on workers of their own.

    Args:
        prepared: The plan.
        devices: One worker each; each trains one model at a time.
        engine: Carries out the trainings; with as many threads as there are devices.
        on_step: Progress of a training.

    Raises:
        UserError: The weights of the backbone cannot be had; nothing was started.
        TransientError: The store gave up; running again goes on from the last checkpoints.
    """
    chosen = devices[: len(prepared.to_do)]
    if not chosen:
        return summary_of(prepared)
    with DevicePool(prepared.store.uri, chosen, on_step, single=prepared.catalog.single_publisher) as pool:
        return train_missing(prepared, pool, engine)


def train_missing(prepared: PreparedTraining, pool: DevicePool, engine: Engine, note: str = "") -> TrainSummary:
    """Train the models of a manifest that are not trained yet, on workers that are there; errors as `run_training`.

    Args:
        prepared: The plan.
        pool: The device workers.
        engine: Carries out the trainings.
        note: What the progress says.
    """
    clock = time.monotonic()
    prepared = replace(prepared, trained=frozenset(prepared.catalog.keys("models", "model_id")))  # by others, meanwhile
    to_do, summary = prepared.to_do, summary_of(prepared)
    register_training(prepared)
    for backbone in {spec.config.backbone for spec in to_do}:
        if prepared.weights_uris[backbone] == "torchvision":
            fetch_weights(backbone.name)
    trainers = Trainers(pool, prepared.catalog)
    engine.progress(summary.trained_before, summary.total, note)
    jobs = [prepared.job(spec) for spec in to_do]
    for _, future in completed(engine, trainers.train, jobs, len(pool.devices)):
        trained = future.result()
        if trained.failure:
            summary.failed += 1
            summary.failures.append(trained.failure)
        else:
            summary.trained += 1
            summary.models.append(trained.model_id)
        through = summary.trained_before + summary.trained + summary.failed
        engine.progress(through, summary.total, f"{summary.failed} failed" if summary.failed else note)
        call_with_policy(publish_all, prepared.catalog)
    summary.seconds = time.monotonic() - clock
    return summary


def summary_of(prepared: PreparedTraining) -> TrainSummary:
    """Return what is known before anything is trained."""
    trained = [spec.model_id for spec in prepared.specs if spec.model_id in prepared.trained]
    return TrainSummary(prepared.name, len(prepared.specs), trained_before=len(trained), models=trained)
