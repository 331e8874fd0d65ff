"""A part of a sweep or training, as a flow run on the work pool: a participant that the pool places on a device.

    what is open below the root -> this part, under Prefect -> as many other parts as the pool has workers for

How parts share the pool is said in `tasks.prefect.parts`, and how participants share a sweep in `tasks.claims`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final
from uuid import NAMESPACE_URL, uuid5

from prefect import runtime
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.states import Cancelled

from flows.order.participation import Wanted, take_part
from flows.order.submission import submit_order
from flows.order.summary import Summary
from flows.prefect_engine import PrefectEngine, carry_out, end_of, in_thread
from nst.errors import InputError, Withdrawn
from tasks.planning.plan_files import open_plans
from tasks.prefect.parts import Parts
from tasks.prefect.pool import Whole
from tasks.prefect.provisioning import FAILED_CELLS
from tasks.work.devices import choose_devices

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.order.order import Order
    from flows.order.participation import AnyOrder
    from nst.errors import NstError
    from tasks.planning.plan_files import StoredPlan
    from tasks.root import Root

LOGGER: Final = logging.getLogger("nst.part")
LOGGER.setLevel(logging.INFO)  # its lines are the log on the run's page


def part_name() -> str:
    """Return the name of a flow run: the one that it was given as a part, or else that of its manifest."""
    given = runtime.flow_run.parameters
    if given.get("plan"):
        return str(runtime.flow_run.name)
    return f"{runtime.flow_run.flow_name} {given.get('manifest')}"


async def submit_and_take_part(order: Order[Any], root: Root) -> Summary | State[Any]:
    """Submit an order and take part in it; other parts follow, where there are workers for them.

    What cannot be stored, as a signed link, or is done already, is run by this flow run alone.
    """
    if order.to_do:
        try:
            await asyncio.to_thread(submit_order, order)
        except InputError as error:
            LOGGER.warning("%s; it is run by this flow run alone", error.message)
        else:
            found = await take_part_in(order.kind, order.prepared.identity, root, "", order.devices)
            if found:
                return found
    return await carry_out(order)


async def take_part_in(
    kind: str, plan: str, root: Root, inputs: str = "", devices: tuple[str, ...] = ()
) -> Summary | State[Any] | None:
    """Take part in what is open, and return what became of it; None if it is not open any more.

    Where it is withdrawn meanwhile, the state Cancelled is returned.

    Args:
        kind: `sweep` or `train`.
        plan: Id of the sweep or training.
        root: The root.
        inputs: Folder that local inputs must lie in, where the root is not on this machine.
        devices: Devices to use; by default those of this worker.

    Raises:
        UserError, TransientError: This worker cannot take part.
        Stopped: The flow run was cancelled.
    """
    chosen = devices or choose_devices()
    stored = next((each for each in open_plans(root.store) if each.identity == plan), None)
    context = FlowRunContext.get()
    if stored is None or context is None or context.flow_run is None:
        return None
    whole = Whole(kind, stored.name, plan, root.uri)
    noun = "cells" if kind == "sweep" else "models"
    # How many models there are is known once it takes part: a worker that came for none would be lost to other sweeps.
    most = math.inf if kind == "sweep" else 1
    with PrefectEngine(len(chosen), stored.name, noun) as engine, Parts(whole, context.flow_run, most) as parts:
        audience = _Log(engine, parts)
        wanted = Wanted(root, chosen, sweep=plan, inputs=inputs, is_enough=parts.is_enough)
        summaries = await in_thread(engine, lambda: list(take_part(wanted, engine, audience)))
        is_closed = all(each.identity != plan for each in open_plans(root.store))
        if is_closed:
            parts.all_done()
        is_to_tell = is_closed and parts.speaks()
    if not summaries and isinstance(audience.error, Withdrawn):
        return Cancelled(message=audience.error.message)
    if not summaries and audience.error:
        raise audience.error
    if is_to_tell and summaries and summaries[-1].failed:
        _tell_of_failures(whole, stored, summaries[-1])
    return summaries[-1] if summaries else None


def shown(ended: Summary | State[Any] | None) -> dict[str, Any] | State[Any]:
    """Return what a flow returns: the summary, or a state in place of Completed."""
    if not isinstance(ended, Summary):
        return ended or {}
    return end_of(ended) or asdict(ended)


class _Log:
    """Writes into the log of the flow run, and on its page, what a participant does."""

    def __init__(self, engine: PrefectEngine, parts: Parts) -> None:
        self.error: NstError | None = None
        self._engine, self._parts = engine, parts

    def begun(self, order: AnyOrder) -> None:
        LOGGER.info("taking part in %s", order.prepared.name)
        self._parts.most = order.most_workers
        if order.page:
            self._engine.link(order.page)

    def step(self, key: str, step: int, steps: int) -> None:
        """Steps are many, and the page shows batches."""

    def left_out(self, name: str, error: NstError) -> None:
        self.error = error
        LOGGER.warning("%s: %s", name, error)

    def idle(self) -> None:
        """A part does not stay."""


def _tell_of_failures(whole: Whole, stored: StoredPlan, summary: Summary) -> None:
    """Emit the event that automations tell people of; the same one, whichever part does it."""
    reason = str(summary.failures[0]) if summary.failures else ""
    emit_event(
        FAILED_CELLS,
        resource={"prefect.resource.id": f"nst.{whole.kind}.{whole.identity}", "prefect.resource.name": whole.name},
        id=uuid5(NAMESPACE_URL, f"{whole.tag} {stored.submitted_at}"),
        payload={"name": whole.name, "failed": summary.failed, "reason": reason, "root": whole.root},
    )
    LOGGER.info("told of %d failures of %s", summary.failed, whole.tag)
