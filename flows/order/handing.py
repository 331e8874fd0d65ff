"""Handing what is submitted to the workers of a standing Prefect stack (`nst up`), and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst.errors import TransientError
from tasks.planning.plan_files import find_plan
from tasks.prefect.parts import cancel_parts
from tasks.prefect.parts import hand_over as hand_part_over
from tasks.prefect.pool import Whole
from tasks.prefect.provisioning import has_deployments
from tasks.prefect.standing import in_use, within_reach

if TYPE_CHECKING:
    from flows.order.order import Order
    from tasks.prefect.parts import HandedOver
    from tasks.root import Root


def hand_over(order: Order[Any], priority: int) -> HandedOver | None:
    """Hand an order that is submitted to the workers of the stack within reach, unless one of them is at it.

    Args:
        order: The order.
        priority: 1 goes before 9.

    Returns:
        The part that waits or runs; None if there is no stack, or the server has no deployments of ours.

    Raises:
        TransientError: The server does not answer; what is submitted stays so.
    """
    stack = within_reach()
    prepared = order.prepared
    stored = find_plan(prepared.root.store, prepared.identity, prepared.scope)
    if stack is None or stored is None:
        return None
    whole = Whole(order.kind, prepared.name, prepared.identity, prepared.root.uri)
    with in_use(stack):
        try:
            if not has_deployments():
                return None
            return hand_part_over(whole, f"{prepared.scope}{stored.submitted_at.isoformat()}", priority)
        except TransientError as error:
            hint = "it is submitted: nst work does it, and to submit it again hands it over"
            raise TransientError(error.message, hint=hint) from error


def take_back(identity: str, root: Root) -> int:
    """Cancel what the stack within reach does of a sweep or training below a root; return the number of its runs.

    Raises:
        TransientError: The server does not answer.
    """
    stack = within_reach()
    if stack is None:
        return 0
    with in_use(stack):
        try:
            return cancel_parts(identity, root.uri)
        except TransientError as error:
            hint = "it is withdrawn, and its runs end by themselves"
            raise TransientError(error.message, hint=hint) from error
