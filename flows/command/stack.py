"""`nst up` and `nst down`: the standing Prefect stack of this machine. Parses arguments, prints."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from flows.command.options import DevicesOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

HOST, PORT = "127.0.0.1", 4200

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
    ] = HOST,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of the server, if it is free.")] = PORT,
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
    from flows.order.adoption import adopt
    from tasks.prefect.stack import up as bring_up
    from tasks.prefect.standing import in_use, standing, told_last
    from tasks.root import open_root
    from tasks.work.devices import choose_devices, workers_on

    before = standing()
    joined = "" if before and before.server else os.environ.get("PREFECT_API_URL", "")
    told = told_last(joined)
    if told and workers is None and not devices:
        chosen = choose_devices(told.devices) if told.devices else ()
    else:
        chosen = workers_on(devices.split(","), workers)
    named = root or (told.root if told else "") or ("" if joined else "out")
    uri = open_root(named).uri if named else ""
    if told and told.root and told.root != uri:
        out.say(f"nightly runs and the inbox work on {uri} from now on, and no longer on {told.root}")
    found = bring_up(uri, chosen, err.say, host=host, port=port, notify=notify)
    if before and before.is_up and before.server and (host, port) != (HOST, PORT):
        out.say("the server was up, and stays at its address: nst down, and up again, moves it")
    if uri:
        with in_use(found):
            for name in adopt(open_root(uri)):
                out.say(f"{name} is open, and handed to the workers")
    out.say(f"page: {found.page}{f'  password: {found.auth}' if found.auth else ''}")
    out.say(f"running: {', '.join(sorted(found.processes))}")
    nightly = f"nightly runs work on {found.root}; " if found.root else ""
    out.say(f"{nightly}nst submit MANIFEST hands a sweep to the workers, nst down ends all")


def down() -> None:
    """End the Prefect stack that nst up has started on this machine.

    Runs publish what they have finished. What is submitted stays open, and goes on after the next nst up, which has the
    root and the workers of last time.
    """
    from tasks.prefect.stack import down as take_down

    out.say("the stack is down" if take_down(err.say) else "no stack is up on this machine")
