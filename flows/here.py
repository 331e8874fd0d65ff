"""Runs an order here and now: in this process, or as a Prefect flow on the configured server or on a private one."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, cast

from flows.engine import InlineEngine, Watcher, watching
from flows.stop import begin, outcome, stop_signals
from nst.errors import Stopped
from tasks.prefect.server import private_server

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.order.order import Order
    from flows.order.summary import Summary
    from tasks.work.workers import OnStep


def run_inline(order: Order[Any], watcher: Watcher, on_step: OnStep | None = None) -> Summary:
    """Run an order with threads of this process, without Prefect: tests, debugging, `nst run --inline`.

    Args:
        order: The planned sweep or training.
        watcher: Called with the progress of the run.
        on_step: Called with the progress of batches and trainings.

    Raises:
        Stopped: Control-C or SIGTERM ended the run.
    """
    stopping = threading.Event()
    with stop_signals(stopping), watching(watcher), InlineEngine(len(order.devices), stopping) as engine:
        return outcome(begin(lambda: order.run(engine, on_step)), stopping)


def run_here(order: Order[Any], watcher: Watcher, on_step: OnStep | None = None) -> Summary:
    """Run an order as a Prefect flow; arguments as `run_inline`. An order that is done already needs no server."""
    if not order.to_do:
        return run_inline(order, watcher, on_step)
    with private_server(), watching(watcher):
        from prefect import flow  # after the server's settings are in the environment
        from prefect.exceptions import CancelledRun
        from prefect.states import Cancelled

        from flows.prefect_engine import carry_out

        stopping = threading.Event()

        @flow(name=order.kind, flow_run_name=f"{order.kind} {{manifest}}", persist_result=False)
        async def ordered(manifest: str, root: str) -> Summary | State[Any]:  # noqa: ARG001  shown on the run's page
            try:
                with stop_signals(stopping):  # once more: Prefect has put its own handler of SIGTERM in place
                    return await carry_out(order, on_step, stopping)
            except Stopped as stop:
                return Cancelled(message=str(stop))

        try:
            with stop_signals(stopping):
                return cast("Summary", asyncio.run(ordered(order.prepared.source.uri, order.prepared.root.uri)))
        except CancelledRun as cancelled:
            raise Stopped(str(cancelled)) from None
