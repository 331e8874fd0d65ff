"""The order of a sweep's steps, written once: inline and Prefect runs differ only in the engine they pass.

    manifest -> plan -> sweep registered -> chunks of batches on device workers -> published -> gallery

What is done is decided by the catalog alone, so the same call after a crash, an interruption or a failure does the
rest and nothing else. Knows no tensor, no file format and no Prefect.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from flows.engine import completed
from tasks.fanout import Chunk, Fanout
from tasks.heartbeat import beating
from tasks.jobs import Failure, Job
from tasks.planning import Prepared, prepare, register
from tasks.workers import DevicePool, OnStep, find_devices

if TYPE_CHECKING:
    from flows.engine import Engine

PUBLISH_EVERY_S: Final = 60.0
"""While a sweep runs, its committed rows reach the catalog at least this often."""

CHUNK_S: Final = 30.0
"""Seconds of work per task run: Prefect's share stays below one in a hundred."""


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """What a user asks for.

    Attributes:
        manifest: URI or path of the manifest.
        root: URI or path of the root.
        inputs: Folder or URI that relative inputs are resolved against; "" means the manifest's own folder.
        devices: Devices to use; empty means all that are found.
        confirmed: Whether an estimate above the manifest's budget of hours is accepted.
    """

    manifest: str
    root: str
    inputs: str = ""
    devices: tuple[str, ...] = ()
    confirmed: bool = False


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

    @property
    def cells_per_second(self) -> float:
        """Cells computed per second of this run."""
        return self.done / self.seconds if self.seconds else 0.0


def run_sweep(request: SweepRequest, engine: Engine, on_step: OnStep | None = None) -> SweepSummary:
    """Run what is not done of a sweep.

    Raises:
        UserError: The manifest, an input or the root cannot be used; nothing was started.
        TransientError: The store gave up; what is committed is kept, and running again does the rest.
    """
    clock = time.monotonic()
    prepared = prepare(request.manifest, request.root, inputs=request.inputs, confirmed=request.confirmed)
    plan = prepared.plan
    summary = SweepSummary(plan.sweep_id, plan.name, total=plan.total, done_before=plan.done)
    register(prepared)
    if plan.to_do:
        with beating(prepared.store, plan.sweep_id):
            _stylise(prepared, request.devices or find_devices(), engine, summary, on_step)
    _publish(prepared)
    summary.seconds = time.monotonic() - clock
    _show(prepared, engine, summary)
    return summary


def _stylise(
    prepared: Prepared, devices: Sequence[str], engine: Engine, summary: SweepSummary, on_step: OnStep | None
) -> None:
    """Fan the chunks out over the devices, publishing now and then."""
    prepared.fetch_weights()
    published = time.monotonic()
    with DevicePool(prepared.store.uri, devices, on_step) as pool:
        fanout = Fanout(pool, prepared.catalog)
        # Two chunks per device: a device never waits for the flow to hand out the next.
        for _, future in completed(engine, fanout.stylise, _chunks(prepared), window=2 * len(devices)):
            for outcome in future.result():
                summary.done += len(outcome.done)
                summary.failed += len(outcome.failed)
                summary.failures += outcome.failed
            engine.progress(
                summary.done_before + summary.done + summary.failed,
                summary.total,
                f"{summary.failed} failed" if summary.failed else "",
            )
            if time.monotonic() - published > PUBLISH_EVERY_S:
                _publish(prepared)
                published = time.monotonic()
