"""`nst submit`: puts a sweep or a training on record, for whoever takes part. Parses arguments, prints."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from tasks.root import Root

out = Terminal()
err = Terminal(stderr=True)


def submit(
    manifest: Annotated[str, typer.Argument(help="URI or path of the manifest (YAML).")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Changes to the manifest: method.size=256 sweep.seed='[1, 2]'."),
    ] = None,
    *,
    root: RootOption = "out",
    inputs: Annotated[
        str, typer.Option("--inputs", help="Folder or URI for relative inputs; by default the manifest's own folder.")
    ] = "",
    only: Annotated[
        str | None, typer.Option("--only", metavar="FILE", help="Run these cells alone, as with nst run.")
    ] = None,
    priority: Annotated[
        int, typer.Option("--priority", min=1, max=9, help="Under nst up: 1 goes before 9; 5 is usual.")
    ] = 5,
    watch: Annotated[bool, typer.Option("--watch", help="Show how far it is until it is done.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Submit also when the estimate exceeds budget.hours.")] = False,
) -> None:
    """Plan a sweep or a training and leave it to whoever takes part with nst work.

    Where the root is not on this machine, local inputs are copied below it. To submit the same again changes nothing,
    but that its inputs are read from where they are now.
    """
    err.say(f"reading and planning {manifest}")
    from flows.command.progress import ProgressBar
    from flows.order.handing import hand_over
    from flows.order.remarks import remarks
    from flows.order.request import Request, order_of
    from flows.order.submission import submit_order, watch_order
    from nst.errors import LeftAlone
    from tasks.root import open_root

    request = Request(
        manifest, open_root(root, probed=True), inputs, confirmed=yes, overrides=tuple(overrides or ()), only=only
    )
    order = order_of(request)
    for remark in remarks(order):
        err.say(remark)
    submitted = submit_order(order)
    out.say(submitted.line())
    if order.to_do:
        handed = hand_over(order, priority)
        if handed is None:
            out.say(_who_does_it(order.prepared.root))
        else:
            out.say(f"handed to {counted(handed.workers, 'workers')}, as {handed.name}: {handed.page or 'no page'}")
    if watch and order.to_do:
        name = order.prepared.name
        try:
            with ProgressBar(err, order.noun) as bar:
                for done, total, note in watch_order(order):
                    bar.show(done, total, note)
        except KeyboardInterrupt:
            how = f"nst status {shlex.quote(name)} --root {shlex.quote(order.prepared.root.typed)} shows how far it is"
            raise LeftAlone(f"{name} goes on without being watched; {how}") from None
        out.say(f"{done:,} of {counted(total, order.noun)}{f', {note}' if note else ''}")
        if done < submitted.done + submitted.to_do:
            err.say(f"{name} was withdrawn")
            raise typer.Exit(1)


def _who_does_it(root: Root) -> str:
    """Return the command that takes part in what is below a root, and where it can be typed."""
    is_local = root.uri.startswith("file://")
    where = "on this machine, or on another that has this folder at the same path" if is_local else "on any machine"
    return f"nst work --root {shlex.quote(root.typed)} does it, {where}"
