"""Handing what is submitted to the workers of a standing Prefect stack (`nst up`), and taking it back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nst.errors import UserError
from tasks.planning.plan_files import find_plan, open_plans
from tasks.prefect.stack import in_use, within_reach

if TYPE_CHECKING:
    from flows.order.order import Order
    from tasks.prefect.pool import HandedOver
    from tasks.root import Root


def hand_over(order: Order[Any], priority: int) -> HandedOver | None:
    """Hand an order that is submitted to the workers of the stack within reach; None if there is no stack.

    To do so again changes nothing, as long as the order is open.

    Args:
        order: The order.
        priority: 1 goes before 9.

    Raises:
        UserError: The server does not answer, or has no such deployment.
    """
    stack = within_reach()
    prepared = order.prepared
    stored = find_plan(prepared.root.store, prepared.identity, prepared.scope)
    if stack is None or stored is None:
        return None
    from tasks.prefect import pool  # a second of imports, as those of Prefect

    whole = pool.Whole(order.kind, prepared.name, prepared.identity, prepared.root.uri)
    with in_use(stack):
        try:
            return pool.hand_over(whole, f"{prepared.scope}{stored.submitted_at.isoformat()}", priority)
        except Exception as error:
            message = f"{stack.api_url} did not take it up: {error!r}"
            hint = "it is submitted, and nst work does it; nst up puts the deployments on the server"
            raise UserError(message, hint=hint) from error


def adopt(root: Root) -> list[str]:
    """Hand what is open below a root to the workers, where none of them is at it; return the names of its manifests.

    To be called where the Prefect client asks the server of the stack (`tasks.prefect.stack.in_use`).
    """
    from tasks.prefect import pool

    adopted = []
    for plan in open_plans(root.store):
        if not pool.has_parts(plan.identity, root.uri):
            kind = "sweep" if plan.sweep else "train"
            whole = pool.Whole(kind, plan.name, plan.identity, root.uri)
            pool.hand_over(whole, f"adopted {datetime.now(UTC).isoformat()}")
            adopted.append(plan.name)
    return adopted


def take_back(identity: str, root: Root) -> int:
    """Cancel what the stack within reach does of a sweep or training below a root; return the number of its runs.

    Raises:
        UserError: The server does not answer.
    """
    stack = within_reach()
    if stack is None:
        return 0
    from tasks.prefect import pool

    with in_use(stack):
        try:
            return pool.cancel_parts(identity, root.uri)
        except Exception as error:
            raise UserError(
                f"{stack.api_url} did not cancel its runs: {error!r}", hint="they end by themselves"
            ) from error
