"""What is told of an order before it is run or submitted: planning knows it, and a night later it is too late."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from tasks.planning.plan_files import open_plans
from tasks.status.submissions import overview

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.order.order import Order


def remarks(order: Order[Any]) -> Iterator[str]:
    """Yield lines about inputs that cannot be used, and about older submissions of the same name that are open.

    A manifest that is changed is another sweep: both are done, unless somebody withdraws one of them.

    Raises:
        StorageError: The store did not answer.
    """
    if order.to_do:
        yield from (f"note: {note}" for note in order.notes)
    name, identity, root = order.prepared.name, order.prepared.identity, order.prepared.root
    older = {plan.identity for plan in open_plans(root.store) if plan.name == name} - {identity}
    for each in overview(root).submissions if older else ():
        if each.id in older:
            left = f"{each.not_tried:,} of {each.total:,} {each.noun} not tried yet"
            how = f"nst cancel {each.id[:8]} --root {shlex.quote(root.typed)}"
            yield f"note: an older {each.kind} {name} ({each.id[:8]}) is still open, {left}; `{how}` withdraws it"
