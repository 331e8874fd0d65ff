"""Runs a sweep in this process without Prefect: tests, debugging, `nst run --inline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.engine import InlineEngine, Watcher, watching
from flows.order import SweepRequest, SweepSummary, run_sweep
from tasks.workers import find_devices

if TYPE_CHECKING:
    from tasks.workers import OnStep


def run_inline(request: SweepRequest, watcher: Watcher, on_step: OnStep | None = None) -> SweepSummary:
    """Run a sweep with threads of this process; see `flows.order.run_sweep`."""
    devices = request.devices or find_devices()
    with watching(watcher), InlineEngine(max_workers=len(devices)) as engine:
        return run_sweep(request, engine, on_step)
