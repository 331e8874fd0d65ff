"""`nst bench`: how fast this machine is, beside reference machines."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.options import DevicesOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from nst.benchmarks.cases import Scope

_LENGTHS: Final[dict[Scope, str]] = {
    "quick": "half a minute",
    "default": "two minutes",
    "full": "a quarter of an hour",
}

out = Terminal()
err = Terminal(stderr=True)


def bench(
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Measure the least: half a minute on two cores.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Measure all sizes, batches and families.")] = False,
    devices: DevicesOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, to compare or to send.")] = False,
) -> None:
    """Measure how fast this machine is.

    Seconds of a step by method, size, batch and precision, beside reference machines. Of several devices the first is
    measured. Nothing is downloaded. Control-C prints what is known.
    """
    from nst.errors import LeftAlone, Stopped, UserError

    if quick and full:
        raise UserError("found --quick and --full, expected one of them", hint="leave one out")
    scope: Scope = "quick" if quick else "full" if full else "default"
    err.say(f"measuring this machine: about {_LENGTHS[scope]} on two quiet cores")
    from flows.command.progress import ProgressBar
    from flows.order.bench import Session
    from flows.stop import stop_signals
    from nst.benchmarks.report import to_json
    from nst.benchmarks.table import table
    from tasks.bench.references import references
    from tasks.bench.trial import Trial
    from tasks.work.devices import choose_devices
    from tasks.work.locks import lock_of

    device, stopping = choose_devices(devices.split(","))[0], threading.Event()
    if (lock := lock_of(device)) and not lock.acquire():
        err.say(f"{device} is used by {lock.holder() or 'another run'}: the figures will say little")
    session = Session(device, scope)
    with (
        contextlib.suppress(Stopped),
        stop_signals(stopping),
        ProgressBar(err, "measurements") as bar,
        Trial(device, stopping) as trial,
    ):
        session.run(trial, bar.show, stopping)
    for fault in session.faults:
        err.say(f"failed: {fault}")
    if (report := session.report()) and as_json:
        typer.echo(to_json(report))
    elif report:
        for line in table(report, references()):
            out.say(line)
    if stopping.is_set():
        raise LeftAlone(f"interrupted after {session.done} of {counted(session.total, 'measurements')}")
    raise typer.Exit(1 if session.faults else 0)
