"""Runs an order here and now: in this process, or as a Prefect flow on the configured server or on a private one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING, Any, Final

from flows.engine import InlineEngine, Watcher, watching
from flows.order.summary import Summary
from flows.stop import begin, outcome, stop_signals
from nst.errors import Stopped, TransientError
from tasks.prefect.server import private_server

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.order.order import Order
    from tasks.prefect.process import ServerProcess
    from tasks.work.workers import OnStep


_POLL_S: Final = 0.2

Say = Callable[[str], None]
"""Called with a line for the user: what the run waits for, and where its page is."""


def run_inline(order: Order[Any], watcher: Watcher, on_step: OnStep, say: Say) -> Summary:
    """Run an order with threads of this process, without Prefect: tests, debugging, `nst run --inline`.

    Args:
        order: The planned sweep or training.
        watcher: Called with the progress of the run.
        on_step: Called with the progress of batches and trainings.
        say: Called with what the run waits for.

    Raises:
        Stopped: Control-C or SIGTERM ended the run.
    """
    stopping = threading.Event()
    if order.to_do:
        say(f"starting workers on {', '.join(order.devices)}")
        _say_page(order, say)
    with (
        stop_signals(stopping),
        watching(watcher),
        order.workers(on_step) as pool,
        InlineEngine(len(order.devices), stopping) as engine,
    ):
        return outcome(begin(lambda: order.run(engine, pool)), stopping)


def run_here(order: Order[Any], watcher: Watcher, on_step: OnStep, say: Say, starting: ServerProcess | None) -> Summary:
    """Run an order as a Prefect flow, on the private server that is starting or on the configured one.

    Arguments and errors as `run_inline`.
    """
    say(f"starting workers on {', '.join(order.devices)}, and Prefect")
    with (
        order.workers(on_step) as pool,
        private_server(starting) as server,
        watching(watcher),
    ):  # workers load while the server starts
        from prefect import flow  # after the server's settings are in the environment
        from prefect.states import Cancelled

        from flows.prefect_engine import carry_out, end_of, run_page

        stopping, became = threading.Event(), Future[Summary]()

        @flow(name=order.kind, flow_run_name=f"{order.kind} {{manifest}}", persist_result=False)
        async def ordered(manifest: str, root: str) -> State[Any] | None:  # noqa: ARG001  shown on the run's page
            say(f"page of the run: {run_page()}{f'  password: {server.auth}' if server.auth else ''}")
            _say_page(order, say)
            try:
                summary = await carry_out(order, pool, stopping)
            except Stopped as stop:
                became.set_exception(stop)
                return Cancelled(message=str(stop))
            except Exception as error:
                became.set_exception(error)
                raise
            became.set_result(summary)
            return end_of(summary)

        async def run_flow() -> None:
            await ordered(order.prepared.source.uri, order.prepared.root.uri, return_state=True)

        # In a thread of its own, which is left behind when the server has died: Prefect would ask it for half a minute.
        with stop_signals(stopping):
            flow_run = begin(lambda: asyncio.run(run_flow()))
            while not flow_run.done() and not (server.lost and became.done()):
                wait([flow_run], timeout=_POLL_S)
        if not became.done():
            error = flow_run.exception()
            if server.lost:
                raise TransientError("the private Prefect server died before the run began") from error
            flow_run.result()
        return became.result(timeout=0)


def _say_page(order: Order[Any], say: Say) -> None:
    """Say where pictures appear while they are made."""
    if order.page:
        say(f"pictures appear on {order.page}{'' if order.page.startswith('file://') else '; see nst gallery --serve'}")
