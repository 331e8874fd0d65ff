"""Runs a training here and now: without Prefect, or as a flow on the configured server or a private one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from flows.engine import InlineEngine, Watcher, watching
from flows.order.training import TrainSummary, plan_training, run_training
from tasks.prefect.server import private_server

if TYPE_CHECKING:
    from flows.order.request import Request
    from tasks.work.workers import OnStep


def train_inline(request: Request, watcher: Watcher, on_step: OnStep | None = None) -> TrainSummary:
    """Train with threads of this process; errors as `plan_training` and `run_training`."""
    prepared = plan_training(request)
    with watching(watcher), InlineEngine(max_workers=len(request.devices)) as engine:
        return run_training(prepared, request.devices, engine, on_step)


def train_here(request: Request, watcher: Watcher, on_step: OnStep | None = None) -> TrainSummary:
    """Train as a flow; a finished training needs no server. Errors as `train_inline`."""
    prepared = plan_training(request)
    if not prepared.to_do:
        return train_inline(request, watcher, on_step)
    with private_server(), watching(watcher):
        from prefect import flow  # after the server's settings are in the environment

        from flows.training import carry_out

        @flow(name="train", flow_run_name="train {manifest}", persist_result=False)
        async def train(manifest: str, root: str) -> TrainSummary:  # noqa: ARG001  shown on the run's page
            return await carry_out(prepared, request.devices, on_step)

        return asyncio.run(train(request.manifest, request.root))
