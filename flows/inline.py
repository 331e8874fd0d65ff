"""Runs a sweep in this process without Prefect: tests, debugging, `nst run --inline`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.engine import InlineEngine, Watcher, watching
from flows.order.sweep import SweepSummary, plan_sweep, run_sweep

if TYPE_CHECKING:
    from flows.order.request import Request
    from tasks.work.workers import OnStep


def run_inline(request: Request, watcher: Watcher, on_step: OnStep | None = None) -> SweepSummary:
    """Run a sweep with threads of this process; errors as `flows.order.sweep.plan_sweep` and `run_sweep`."""
    prepared = plan_sweep(request)
    with watching(watcher), InlineEngine(max_workers=len(request.devices)) as engine:
        return run_sweep(prepared, request.devices, engine, on_step)
