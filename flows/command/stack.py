"""`nst up` and `nst down`: the standing Prefect stack of this machine. Parses arguments, prints."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command.options import DevicesOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

out = Terminal()
err = Terminal(stderr=True)


def up(
    *,
    root: Annotated[
        str,
        typer.Option(
            "--root", envvar="NST_ROOT", help="Root that nightly runs and the inbox work on; as before, or else out."
        ),
    ] = "",
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            help="Workers here; as before, or else one for each device. Several share the CPU.",
        ),
    ] = None,
    devices: DevicesOption = "",
    host: Annotated[
        str, typer.Option("--host", help="Address that the server listens at; 0.0.0.0 for other machines.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the server, if it is free.")] = 4200,
    notify: Annotated[
        str,
        typer.Option("--notify", envvar="NST_NOTIFY", help="Web address that failures are told, as JSON or to Slack."),
    ] = "",
) -> None:
    """Bring up a standing Prefect stack: server, work pool, deployments, workers.

    Does what is missing, and changes nothing that is not named. With PREFECT_API_URL set, this machine adds workers to
    that server.
    nst submit then hands what is submitted to the workers.
    """
    err.say("looking at what is up")
    from flows.order.handing import adopt
    from tasks.prefect.stack import in_use, standing
    from tasks.prefect.stack import up as bring_up
    from tasks.root import open_root
    from tasks.work.devices import workers_on

    before = standing()
    as_before = before.devices if before and workers is None and not devices else ()
    chosen = as_before or workers_on(devices.split(","), workers)
    opened = open_root(root or (before and before.root) or "out")
    if before and before.root and before.root != opened.uri:
        out.say(f"nightly runs and the inbox work on {opened.uri} from now on, and no longer on {before.root}")
    found = bring_up(opened.uri, chosen, err.say, host=host, port=port, notify=notify)
    with in_use(found):
        for name in adopt(opened):
            out.say(f"{name} is open, and handed to the workers")
    out.say(f"page: {found.page}{f'  password: {found.auth}' if found.auth else ''}")
    out.say(f"running: {', '.join(sorted(found.workers))}")
    out.say(f"nightly runs work on {found.root}; nst submit MANIFEST hands a sweep to the workers, nst down ends all")


def down() -> None:
    """End the Prefect stack that nst up has started on this machine.

    Runs publish what they have finished. What is submitted stays open, and goes on after the next nst up.
    """
    from tasks.prefect.stack import down as take_down

    out.say("the stack is down" if take_down(err.say) else "no stack is up on this machine")
