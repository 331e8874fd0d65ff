"""`nst cancel`: withdraws what was submitted. Parses arguments, prints."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

out = Terminal()


def cancel(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep or training, or the beginning of its id.")],
    root: RootOption = "out",
) -> None:
    """Withdraw a sweep or training that is open.

    Whoever takes part gives up what it has in hand and leaves, within half a minute. What is done stays, and to submit
    the manifest again takes up the rest.
    """
    from flows.order.handing import take_back
    from flows.order.submission import withdraw
    from tasks.root import open_root

    opened = open_root(root, must_exist=True)
    for plan in withdraw(opened, sweep):
        out.say(f"{plan.name} ({plan.identity[:8]}): withdrawn; what is done stays, nst submit takes up the rest")
        if runs := take_back(plan.identity, opened):
            out.say(f"cancelled {runs:,} of its runs in the work pool")
