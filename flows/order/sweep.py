"""The order of a sweep's steps, written once: inline and Prefect runs differ only in the engine they pass.

    manifest -> plan -> sweep registered -> missing models trained -> chunks of batches on device workers -> published
    -> gallery

What is done is decided by the catalog alone, so the same call after a crash, an interruption or a failure does the
rest and nothing else. Knows no tensor, no file format and no Prefect.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flows.engine import completed
from flows.order.training import train_missing
from tasks.effect import call_with_policy
from tasks.heartbeat import beating
from tasks.maintenance import publish_all, single_publisher, tidy
from tasks.models.backbone_weights import fetch_weights
from tasks.pages.report import report
from tasks.planning.sweep import Prepared, prepare, register
from tasks.work.fanout import Chunk, Fanout
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from flows.engine import Engine
    from flows.order.request import Request
    from tasks.jobs import Failure
    from tasks.work.workers import OnStep

PUBLISH_EVERY_S: Final = 60.0
"""While a sweep runs, its committed rows reach the catalog at least this often."""

CHUNK_S: Final = 40.0
"""Seconds of work per task run: Prefect's share stays below one in a hundred."""

CHUNKS_PER_DEVICE: Final = 4
"""At least so many chunks per device, so that all devices finish at about the same time."""


@dataclass(slots=True)
class SweepSummary:
    """What became of a sweep."""

    sweep_id: str
    name: str
    total: int
    done_before: int
    done: int = 0
    failed: int = 0
    seconds: float = 0.0
    gallery: str = ""
    failures: list[Failure] = field(default_factory=list)


def plan_sweep(request: Request) -> Prepared:
    """Plan a sweep: all that can be wrong with it is found here, before anything starts.

    Raises:
        UserError: The manifest, an input or the root cannot be used, or the budget is exceeded.
    """
    return prepare(
        request.manifest,
        request.root,
        inputs=request.inputs,
        devices=len(request.devices),
        confirmed=request.confirmed,
        single=single_publisher(request.root),
    )


def run_sweep(
    prepared: Prepared, devices: Sequence[str], engine: Engine, on_step: OnStep | None = None
) -> SweepSummary:
    """Run what is not done of a planned sweep.

    Args:
        prepared: The plan.
        devices: One worker each.
        engine: Carries out the chunks; with as many threads as there are devices.
        on_step: Progress of a batch.

    Raises:
        UserError: The weights cannot be had; nothing was started.
        TransientError: The store gave up; what is committed is kept, and running again does the rest.
    """
    clock = time.monotonic()
    plan = prepared.plan
    summary = SweepSummary(plan.sweep_id, plan.name, total=plan.total, done_before=plan.done)
    register(prepared)
    if plan.to_do:
        for backbone, uri in prepared.weights_uris.items():
            if uri == "torchvision":
                fetch_weights(backbone.name)
        with (
            beating(prepared.store, plan.sweep_id),
            DevicePool(prepared.store.uri, devices, on_step, single=prepared.catalog.single_publisher) as pool,
        ):
            prepared = _train_first(prepared, pool, engine)
            _stylize(prepared, pool, engine, summary)
    call_with_policy(publish_all, prepared.catalog)
    summary.seconds = time.monotonic() - clock
    if plan.to_do:
        tidy(prepared.catalog)
        page = report(prepared)
        summary.gallery = page.uri
        engine.show(page.rows, page.contact_sheet)
    return summary


def _train_first(prepared: Prepared, pool: DevicePool, engine: Engine) -> Prepared:
    """Train the models of cells that name them by their training manifests; return the plan with their weights.

    A model whose training fails fails the cells that need it, and no others.
    """
    missing = [training for training in prepared.trainings if training.to_do]
    for training in missing:
        train_missing(training, pool, engine, "models first")
    return prepared.again() if missing else prepared


def _stylize(prepared: Prepared, pool: DevicePool, engine: Engine, summary: SweepSummary) -> None:
    """Fan the chunks out over the devices, publishing now and then."""
    fanout = Fanout(pool, prepared.catalog)
    published = time.monotonic()
    engine.progress(summary.done_before, summary.total, "")
    # Two chunks per device: a device never waits for the flow to hand out the next.
    for _, future in completed(engine, fanout.stylize, _chunks(prepared, pool.devices), 2 * len(pool.devices)):
        for outcome in future.result():
            summary.done += len(outcome.done)
            summary.failed += len(outcome.failed)
            summary.failures += outcome.failed
        through = summary.done_before + summary.done + summary.failed
        engine.progress(through, summary.total, f"{summary.failed} failed" if summary.failed else "")
        if time.monotonic() - published > PUBLISH_EVERY_S:
            call_with_policy(publish_all, prepared.catalog)
            published = time.monotonic()


def _chunks(prepared: Prepared, devices: Sequence[str]) -> Iterator[Chunk]:
    """Yield the plan's batches as chunks of jobs."""
    seconds = CHUNK_S
    if prepared.plan.seconds is not None:
        seconds = min(seconds, prepared.plan.seconds / (CHUNKS_PER_DEVICE * len(devices)))
    for number, batches in enumerate(prepared.plan.chunks(seconds)):
        yield Chunk(number, tuple(prepared.job(batch) for batch in batches))
