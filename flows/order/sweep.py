"""The order of a sweep's steps, written once: inline and Prefect runs differ only in the engine that they pass.

    manifest -> plan -> sweep registered -> missing models trained -> chunks of batches on device workers -> published
    -> gallery

The problem: a sweep runs for hours on several devices, and at any moment a picture can be broken, a worker can die, the
store can be unreachable, or somebody can press Control-C. Nothing that is finished may be lost or done twice.

The rule: what is done is decided by the catalog alone, and nothing else is remembered. So there is no repair and no
resuming: after whatever happened, the same call does the rest and nothing else. Knows no tensor, no file format and no
Prefect.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from flows.engine import completed
from flows.order.order import Order
from flows.order.summary import SweepSummary
from flows.order.tables import sweep_table
from flows.order.training import train_missing
from nst.errors import Stopped
from nst.plan.batches import TARGET_SECONDS
from tasks.effect import call_with_policy
from tasks.heartbeat import beating
from tasks.maintenance import publish_all, tidy
from tasks.models.backbone_weights import fetch_weights
from tasks.pages.report import report
from tasks.planning.registration import register_sweep
from tasks.planning.sweep import PreparedSweep, prepare_sweep, replan
from tasks.status import count_done
from tasks.work.fanout import Chunk, Fanout
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from flows.engine import Engine
    from flows.order.request import Request
    from tasks.inputs.manifest_source import ManifestSource
    from tasks.work.workers import OnStep

PUBLISH_EVERY_S: Final = 60.0
"""While a sweep runs, its committed rows reach the catalog at least this often."""

CHUNKS_PER_DEVICE: Final = 4
"""The least number of chunks per device, so that all devices finish at about the same time."""


def plan_sweep(request: Request, source: ManifestSource) -> SweepOrder:
    """Plan a sweep: everything that can be wrong with it is found here, before anything starts.

    Args:
        request: What the user asks for.
        source: The request's manifest as it was read.

    Raises:
        UserError: The manifest, an input or the root cannot be used, or the budget is exceeded.
    """
    prepared = prepare_sweep(
        source, request.root, inputs=request.inputs, devices=len(request.devices), confirmed=request.confirmed
    )
    return SweepOrder(prepared, request.devices)


class SweepOrder(Order[PreparedSweep]):
    """A planned sweep and its devices."""

    kind = "sweep"
    noun = "cells"

    @property
    def to_do(self) -> int:
        """Number of cells that are not done yet."""
        return self.prepared.plan.to_do

    def plan_table(self) -> Table:
        """Return the plan as a table, for `nst plan`."""
        return sweep_table(self.prepared)

    def run(self, engine: Engine, on_step: OnStep | None = None) -> SweepSummary:
        """Run the cells that are not done yet; errors as `run_sweep`."""
        return run_sweep(self.prepared, self.devices, engine, on_step)


def run_sweep(
    prepared: PreparedSweep, devices: Sequence[str], engine: Engine, on_step: OnStep | None = None
) -> SweepSummary:
    """Run the cells of a planned sweep that are not done yet.

    Args:
        prepared: The plan.
        devices: One worker each.
        engine: Carries out the chunks; with as many threads as there are devices.
        on_step: Called with the progress of batches and trainings.

    Raises:
        UserError: The weights of a backbone cannot be obtained; nothing was started.
        TransientError: The store did not answer; what is committed is kept, and running again does the rest.
        Stopped: The engine was stopped; what is committed is published, and the page shows it.
    """
    clock = time.monotonic()
    plan, root = prepared.plan, prepared.root
    summary = SweepSummary(sweep_id=plan.sweep_id, name=plan.name, total=plan.total, done_before=plan.done)
    register_sweep(prepared)
    call_with_policy(publish_all, root.catalog)  # from now on plain readers find tables below the root
    if not plan.to_do:
        return summary
    for backbone, weights in prepared.weights.items():
        if weights.uri == "torchvision":
            fetch_weights(backbone.name)
    stop: Stopped | None = None
    try:
        with beating(root.store, plan.sweep_id), DevicePool(root, devices, on_step) as pool:
            prepared = _train_first(prepared, pool, engine)
            _stylize(prepared, pool, engine, summary)
    except Stopped as signal:  # what is done is published and shown as at any other end
        stop = signal
    call_with_policy(publish_all, root.catalog)
    summary.seconds = time.monotonic() - clock
    acknowledged = summary.done_before + summary.done
    summary.lost = max(0, acknowledged - call_with_policy(count_done, root, prepared.plan.cells.ids))
    if not summary.lost:  # a damaged root is left as it is, for `nst fsck`
        if not stop:
            tidy(root.catalog)
        page = report(prepared)
        summary.gallery = page.uri
        engine.show(page.rows, page.contact_sheet)
    if stop:
        raise Stopped(
            f"{summary.done_before + summary.done} of {summary.total} cells are done", hint=f"page: {summary.gallery}"
        ) from stop
    return summary


def _train_first(prepared: PreparedSweep, pool: DevicePool, engine: Engine) -> PreparedSweep:
    """Train the models of cells that name a training manifest; return the plan in which these cells know their weights.

    A model whose training fails fails the cells that need it, and no others.
    """
    missing = [training for training in prepared.trainings if training.to_do]
    for training in missing:
        train_missing(training, pool, engine, "models first")
    return replan(prepared) if missing else prepared


def _stylize(prepared: PreparedSweep, pool: DevicePool, engine: Engine, summary: SweepSummary) -> None:
    """Fan the chunks out over the devices, publishing now and then."""
    fanout = Fanout(pool, prepared.root.catalog)
    published = time.monotonic()
    engine.progress(summary.handled, summary.total, "")
    # Two chunks per device: a device never waits for the flow to hand out the next.
    for _, future in completed(engine, fanout.stylize, _chunks(prepared, pool.devices), 2 * len(pool.devices)):
        for outcome in future.result():
            summary.done += len(outcome.done)
            summary.add_failures(outcome.failed)
        engine.progress(summary.handled, summary.total, summary.note())
        if time.monotonic() - published > PUBLISH_EVERY_S:
            call_with_policy(publish_all, prepared.root.catalog)
            published = time.monotonic()


def _chunks(prepared: PreparedSweep, devices: Sequence[str]) -> Iterator[Chunk]:
    """Yield the plan's batches as chunks of jobs."""
    seconds = TARGET_SECONDS
    if prepared.plan.seconds is not None:
        seconds = min(seconds, prepared.plan.seconds / (CHUNKS_PER_DEVICE * len(devices)))
    for batches in prepared.plan.chunks(seconds):
        yield Chunk(tuple(prepared.job(batch) for batch in batches))
