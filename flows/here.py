"""Runs an order here and now: in this process, or as a Prefect flow on the configured server or on a private one."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from flows.early import EarlyEngine
from flows.engine import InlineEngine, Watcher, watching
from flows.stop import GRACE_S, begin, outcome, stop_signals
from nst.errors import DeviceError, Stopped
from tasks.prefect.process import NotStartedError
from tasks.prefect.server import private_server

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.order.order import Order
    from flows.order.summary import Summary
    from tasks.prefect.process import ServerProcess
    from tasks.prefect.server import Server
    from tasks.work.workers import OnStep

log = logging.getLogger("nst.prefect")

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
        say_page(order, say)
    with (
        stop_signals(stopping),
        watching(watcher),
        order.workers(on_step) as pool,
        InlineEngine(len(order.devices), stopping) as engine,
    ):
        return outcome(begin(lambda: order.run(engine, pool)), stopping)


def run_here(order: Order[Any], watcher: Watcher, on_step: OnStep, say: Say, starting: ServerProcess | None) -> Summary:
    """Run an order as a Prefect flow, on the private server that is starting or on the configured one.

    A private server is not waited for: the order begins at once, and the flow joins it (`flows.early`). If the server
    does not start, or dies, the run goes on without it and says so. A configured server has to answer first.

    Arguments as `run_inline`, and `starting` is the process of the private server, if it is not known to be needless.

    Raises:
        UserError: The configured server does not answer.
        Stopped: Control-C or SIGTERM ended the run.
    """
    say(f"starting workers on {', '.join(order.devices)}, and Prefect")
    say_page(order, say)
    stopping = threading.Event()
    with (
        stop_signals(stopping),
        watching(watcher),
        order.workers(on_step) as pool,
        EarlyEngine(len(order.devices), stopping) as engine,
    ):
        run = partial(order.run, engine, pool)
        running = begin(run) if starting else Future()
        while starting and not engine.busy.wait(_POLL_S) and not running.done():
            pass  # Prefect's import takes seconds, which devices would wait for
        try:
            with private_server(starting, stopping) as server:
                running = running if starting else begin(run)
                # In a thread that is left behind when the server has died: Prefect would ask it for half a minute.
                recording = begin(partial(_record, order, engine, running, server, say))
                while not recording.done() and not (server.lost and running.done()):
                    wait([recording], timeout=_POLL_S)
                    if stopping.is_set() and not wait([recording], timeout=GRACE_S).done:
                        server.abandon()  # which the order itself may be waiting for
                        break
                if recording.done() and not server.lost:
                    recording.result()  # raises whatever Prefect itself met
        except NotStartedError as error:
            log.warning("%s; the run goes on without its page", str(error).splitlines()[0])
        except Stopped:
            pass  # before the server answered: there is nobody to tell
        except Exception:
            stopping.set()
            if starting:
                wait([running], timeout=GRACE_S)
            raise
        return outcome(running, stopping)


def _record(order: Order[Any], engine: EarlyEngine, running: Future[Summary], server: Server, say: Say) -> None:
    """Record a run that has begun as a flow run, whose engine takes over."""
    from prefect import flow  # after the server's settings are in the environment
    from prefect.states import Cancelled, Failed

    from flows.prefect_engine import end_of, in_thread, prefect_engine, run_page

    @flow(name=order.kind, flow_run_name=f"{order.kind} {{manifest}}", persist_result=False)
    async def ordered(manifest: str, root: str) -> State[Any] | None:  # noqa: ARG001  shown on the run's page
        say(f"page of the run: {run_page()}{f'  password: {server.auth}' if server.auth else ''}")
        try:
            with prefect_engine(order, engine.stopping) as late:
                engine.hand_over(late)
                return end_of(await in_thread(late, running.result))
        except Stopped as stop:
            return Cancelled(message=str(stop))
        except DeviceError as error:  # whoever waits for the order is told in one line, without Prefect's trace
            return Failed(message=str(error))

    async def run_flow() -> None:
        await ordered(order.prepared.source.uri, order.prepared.root.uri, return_state=True)

    asyncio.run(run_flow())


def say_page(order: Order[Any], say: Say) -> None:
    """Say where pictures appear while they are made."""
    if order.page:
        say(f"pictures appear on {order.page}{'' if order.page.startswith('file://') else '; see nst gallery --serve'}")
