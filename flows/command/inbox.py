"""`nst inbox`: submits the manifests that people lay into a root. Parses arguments, prints."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flows.order.inbox import Inbox
    from flows.order.order import Order

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
    answered anew. With --stay, what is open and has lost all of its runs under nst up is handed over again.
    """
    err.say(f"looking into the inbox of {root}")
    from flows.order.adoption import Adoption
    from flows.order.inbox import LOOK_EVERY_S, Inbox
    from flows.stop import begin, outcome, stop_signals
    from nst.errors import LeftAlone
    from tasks.root import open_root

    stopping = threading.Event()
    opened = open_root(root, probed=True)
    looked_at, adoption = Inbox(opened, inputs, _hand_over), Adoption(opened)

    def stays() -> int:
        code = _look(looked_at)  # a root that cannot be used is told at once; later, credentials are being renewed
        while not stopping.wait(LOOK_EVERY_S):
            with _said():
                code = max(code, _look(looked_at))
            with _said():
                for line in adoption.look():
                    out.say(line)
        raise LeftAlone("the inbox is left alone")

    with stop_signals(stopping):
        code = outcome(begin(stays if stay else lambda: _look(looked_at)), stopping)
    raise typer.Exit(code)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Say what went wrong inside the context: the next look may find it mended."""
    from nst.errors import NstError

    try:
        yield
    except NstError as error:
        err.say(error)


def _look(looked_at: Inbox) -> int:
    """Take up what is there, and return 1 if anything was refused."""
    code = 0
    for answer in looked_at.look():
        out.say(f"{answer.name}: {'' if answer.accepted else 'refused: '}{answer.text}")
        code = code if answer.accepted else 1
    return code


def _hand_over(order: Order[Any]) -> str:
    """Hand an order to the workers of a stack, if there is one, and return a line about that."""
    from flows.order.handing import hand_over
    from tasks.prefect.provisioning import USUAL

    handed = hand_over(order, USUAL)
    return f"handed to the workers, as {handed.name}: {handed.page}" if handed else "nst work does it"
