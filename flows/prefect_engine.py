"""The engine of a run inside a Prefect flow: every effect is a task run, and the flow run's page shows the progress.

The flow is `async` and runs the synchronous order of steps in a thread (`in_thread`): a synchronous flow would take at
least a second, because Prefect joins its heartbeat thread, and Control-C could not reach the order.

Task runs are made in the engine's threads, by calling the task in a copy of the flow's context. That gives ordinary
futures, a bounded number of threads and the same records as Prefect's thread runner, which never frees its bookkeeping
of submissions. Arguments and results are hidden from Prefect (`_Call`), which would otherwise search them for futures
and keep them until the flow ends. Caching and stored results stay off: only the catalog decides what is done.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext, SyncClientContext
from prefect.states import Cancelled, Failed
from prefect.utilities.urls import url_for

from flows.engine import EffectThreads, notify_watcher
from flows.stop import GRACE_S, begin, outcome
from nst.errors import DeviceError, Stopped, TransientError
from tasks.effect import policy_of
from tasks.prefect.page import PrefectPage
from tasks.prefect.server import current_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from prefect.client.schemas.objects import State, TaskRun

    from flows.order.order import Order
    from flows.order.summary import Summary

P = ParamSpec("P")
R = TypeVar("R")


class PrefectEngine:
    """Carries effects out as task runs of the flow run in whose context it is entered.

    Args:
        max_workers: Number of threads, and so of effects that run at one time.
        key: Names the artifacts of the page; the name of the manifest, so that its runs share a history.
        noun: What the progress counts: cells or models.
        stopping: Set by whoever stops the run; by default the flow's cancellation alone.
    """

    def __init__(
        self, max_workers: int = 1, key: str = "run", noun: str = "cells", stopping: threading.Event | None = None
    ) -> None:
        self.stopping = stopping or threading.Event()
        self.begun = 0
        """Task runs begun so far."""
        self._count_lock = threading.Lock()
        self._key = key
        self._noun = noun
        self._max_workers = max_workers
        self._tasks: dict[Callable[..., Any], Task[..., State[Any] | None]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        context = FlowRunContext.get()
        assert context is not None, "PrefectEngine is used inside a flow"
        self._context = copy_context()  # of the flow: who submits may be a thread that began before
        assert context.flow_run is not None
        self._flow_run_id = context.flow_run.id
        # Every task run looks for a client in its context and would make its own: 50 ms of TLS set-up each.
        client = self._stack.enter_context(SyncClientContext.get_or_create()).client
        self._page = PrefectPage(client, self._flow_run_id, self._key, self._noun)
        self._progress = (0, 0, "")
        self._threads = EffectThreads(self._max_workers)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for the effects that have begun, show the last progress, say how many records the server is to store."""
        stopped = self.stopping.is_set()
        if error is not None:
            self.stopping.set()
        with self._stack:
            self._threads.end(GRACE_S if stopped else None)
            if self._progress[1]:
                self._page.progress(*self._progress, now=True)
            server = current_server()
            if server is not None:
                server.expect(str(self._flow_run_id), self.begun)

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Carry `fn` out as a task run with retries by its policy, in a thread."""
        call = _Call(fn, args, kwargs)
        return self._threads.submit(self._context.copy().run, self._carry_out, self._task(fn), call)

    def progress(self, done: int, total: int, text: str) -> None:
        """Notify the watcher, and update the page at most once in five seconds."""
        self._progress = (done, total, text)
        notify_watcher(done, total, text)
        self._page.progress(done, total, text)

    def show(self, rows: Sequence[Mapping[str, object]], contact_sheet_jpeg: bytes | None) -> None:
        """Show a summary table and a contact sheet on the flow run's page."""
        self._page.table(rows)
        if contact_sheet_jpeg is not None:
            self._page.contact_sheet(contact_sheet_jpeg)

    def link(self, uri: str) -> None:
        """Show where the pictures are, on the flow run's page."""
        self._page.link(uri)

    def _carry_out(self, task: Task[..., State[Any] | None], call: _Call) -> Any:
        if self.stopping.is_set():
            raise Stopped("the run was stopped")
        with self._count_lock:
            self.begun += 1
        state: State[Any] = task(call, return_state=True)  # type: ignore[assignment]  # a state inside of a state
        if call.error is not None:
            raise call.error
        if not call.returned:
            state.result()  # raises whatever Prefect itself met
        return call.result

    def _task(self, fn: Callable[..., Any]) -> Task[..., State[Any] | None]:
        if fn not in self._tasks:
            policy = policy_of(fn)
            self._tasks[fn] = Task(
                _run,
                name=getattr(fn, "__name__", type(fn).__name__),
                task_run_name=_label,  # type: ignore[arg-type]  # declared narrower than what Prefect calls
                retries=policy.retries,
                retry_delay_seconds=list(policy.retry_delays_s) or None,
                retry_condition_fn=_may_retry,
                cache_policy=NO_CACHE,
                persist_result=False,
                log_prints=False,
            )
        return self._tasks[fn]


def end_of(summary: Summary) -> State[Any] | None:
    """Return the state in which a run ends that counts as failed; None for one that is Completed."""
    if not summary.has_failed:
        return None
    return Failed(message=f"{summary.failed} of {summary.total} failed; {summary.failures[0]}")


def run_page() -> str:
    """Return the address of the current flow run's page, on whatever server it is."""
    context = FlowRunContext.get()
    assert context is not None
    return (context.flow_run and url_for(context.flow_run)) or "unknown, since PREFECT_UI_URL is not set"


async def carry_out(order: Order[Any]) -> Summary:
    """Run a planned order inside the current flow run.

    Args:
        order: The planned sweep or training.

    Raises:
        Stopped: The run was stopped.
    """
    with prefect_engine(order) as engine:
        return await in_thread(engine, lambda: order.run(engine, order.workers()))


def prefect_engine(order: Order[Any], stopping: threading.Event | None = None) -> PrefectEngine:
    """Return the engine of an order; it is to be entered inside its flow."""
    return PrefectEngine(len(order.devices), order.prepared.name, order.noun, stopping)


async def in_thread(engine: PrefectEngine, steps: Callable[[], R]) -> R:
    """Return what the synchronous function `steps` returns, run in a thread of an `async` flow.

    When the flow is cancelled (SIGTERM to a deployed run, Prefect's cancel button), the engine is stopped and the end
    of the steps is awaited as `flows.stop` says.

    Raises:
        Stopped: The engine was stopped.
    """
    running = begin(steps)
    try:
        return await asyncio.to_thread(outcome, running, engine.stopping)
    except asyncio.CancelledError:
        if not engine.stopping.is_set():  # by a second signal, which does not wait
            engine.stopping.set()
            with suppress(Stopped):
                await asyncio.to_thread(outcome, running, engine.stopping)
        raise


class _Call:
    """A call whose arguments and result are hidden from Prefect."""

    __slots__ = ("args", "error", "fn", "kwargs", "result", "returned")

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.error: Exception | None = None
        self.result: Any = None
        self.returned = False


def _run(call: _Call) -> State[Any] | None:
    """Carry a call out and return how Prefect shows its end, if that is not what Prefect itself would say.

    A call that is stopped is Cancelled, which Prefect never retries; one that no device is left for is Failed, without
    a trace, which would tell nothing. One whose outcome is a failure on record, as that
    of a training may be, is Failed, although the effect returned.
    """
    call.error = None
    try:
        call.result = call.fn(*call.args, **call.kwargs)
    except Stopped as stop:
        call.error = stop
        return Cancelled(message=str(stop))
    except DeviceError as error:
        call.error = error
        return Failed(message=str(error))
    except Exception as error:
        call.error = error
        raise
    call.returned = True
    failure = getattr(call.result, "failure", None)
    return Failed(message=str(failure)) if failure else None


def _label(parameters: dict[str, Any]) -> str:
    """Return the name of a task run: the effect, and the `key` of its first argument (a chunk, a training) if any."""
    call: _Call = parameters["call"]
    name = getattr(call.fn, "__name__", type(call.fn).__name__)
    first = call.args[0] if call.args else None
    return f"{name} {getattr(first, 'key', '')[:12]}".strip()


def _may_retry(_task: Any, _task_run: TaskRun, state: State[Any]) -> bool:
    """Return whether the error of a task run may pass by itself; Prefect counts the retries."""
    return isinstance(state.data, TransientError)
