"""`nst inbox`: submits the manifests that people lay into a root. Parses arguments, prints."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

if TYPE_CHECKING:
    from flows.order.order import Order
    from tasks.root import Root

out = Terminal()
err = Terminal(stderr=True)


def inbox(
    *,
    root: RootOption = "out",
    inputs: Annotated[
        str,
        typer.Option("--inputs", help="Folder that local inputs may lie in, where the root is not on this machine."),
    ] = "",
    stay: Annotated[bool, typer.Option("--stay", help="Look every 15 s, until Control-C.")] = False,
) -> None:
    """Submit the manifests in the folder inbox of a root.

    A report appears beside each: accepted, or every fault with its line and column. A manifest that is changed is
    answered anew.
    """
    err.say(f"looking into the inbox of {root}")
    from flows.order.inbox import LOOK_EVERY_S
    from flows.stop import begin, outcome, stop_signals
    from nst.errors import Stopped, TransientError
    from tasks.root import open_root

    opened, stopping = open_root(root, probed=True), threading.Event()

    def stays() -> int:
        while True:
            try:
                _look(opened, inputs)
            except TransientError as error:
                err.say(error)
            if stopping.wait(LOOK_EVERY_S):
                raise Stopped("the inbox is left alone")

    with stop_signals(stopping):
        code = outcome(begin(stays if stay else lambda: _look(opened, inputs)), stopping)
    raise typer.Exit(code)


def _look(root: Root, inputs: str) -> int:
    """Take up what is there, and return 1 if anything was refused."""
    from flows.order.inbox import look_into

    code = 0
    for answer in look_into(root, inputs, _hand_over):
        out.say(f"{answer.name}: {'' if answer.accepted else 'refused: '}{answer.text}")
        code = code if answer.accepted else 1
    return code


def _hand_over(order: Order[Any]) -> str:
    """Hand an order to the workers of a stack, if there is one, and return a line about that."""
    from flows.order.handing import hand_over
    from nst.errors import UserError
    from tasks.prefect.pool import USUAL

    try:
        handed = hand_over(order, USUAL)
    except UserError as error:
        return str(error)
    return f"handed to the workers, as {handed.name}: {handed.page}" if handed else "nst work does it"
