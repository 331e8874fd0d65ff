"""Runs a sweep as a Prefect flow here and now, on the configured server or on a private one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flows.engine import Watcher, watching
from flows.inline import run_inline
from flows.order.sweep import SweepSummary, plan_sweep
from tasks.prefect.server import private_server

if TYPE_CHECKING:
    from flows.order.request import Request
    from tasks.work.workers import OnStep


def run_here(request: Request, watcher: Watcher, on_step: OnStep | None = None) -> SweepSummary:
    """Run a sweep as a flow; errors as `flows.order.sweep.plan_sweep` and `run_sweep`.

    The plan is made before any server starts: a faulty manifest answers at once, and a finished sweep needs no server.
    """
    prepared = plan_sweep(request)
    if not prepared.plan.to_do:
        return run_inline(request, watcher, on_step)
    with private_server(), watching(watcher):
        from prefect import flow  # after the server's settings are in the environment

        from flows.sweep import carry_out

        @flow(name="sweep", flow_run_name="sweep {manifest}", persist_result=False)
        async def sweep(manifest: str, root: str) -> SweepSummary:  # noqa: ARG001  shown on the run's page
            return await carry_out(prepared, request.devices, on_step)

        return asyncio.run(sweep(request.manifest, request.root))
