"""`nst work`: this machine takes part in what is open below a root. Parses arguments, prints; decides nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from flows.command.log_json import LogJsonOption, logged
from flows.command.options import DevicesOption, RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

if TYPE_CHECKING:
    from flows.order.participation import Wanted
    from flows.order.summary import Summary
    from flows.order.sweep import SweepOrder
    from flows.order.training import TrainingOrder

_SHOWN = 5

out = Terminal()
err = Terminal(stderr=True)


def work(
    *,
    root: RootOption = "out",
    sweep: Annotated[
        str, typer.Option("--sweep", help="Name of a sweep or training, or the beginning of a sweep's id; else all.")
    ] = "",
    inputs: Annotated[
        str,
        typer.Option("--inputs", help="Folder that local inputs may lie in, where the root is not on this machine."),
    ] = "",
    devices: DevicesOption = "",
    stay: Annotated[bool, typer.Option("--stay", help="Wait for more when nothing is open, until Control-C.")] = False,
    log_json: LogJsonOption = False,
) -> None:
    """Take part in what is open below a root.

    Helps with the sweeps and trainings that somebody has submitted with nst submit or nst run, here or on another
    machine, until nothing is left. Any number may take part, and any of them may be killed.
    """
    err.say(f"looking for what is open below {root}")
    from flows.order.participation import Wanted
    from tasks.root import open_root
    from tasks.work.devices import choose_devices

    wanted = Wanted(open_root(root, probed=True), choose_devices(devices.split(",")), sweep, inputs, stay)
    with logged(out, wanted=log_json):
        code = _work(wanted, root, err if log_json else out)
    raise typer.Exit(code)


def _nothing_open(wanted: Wanted, root: str) -> str:
    """Return a line that says that there is nothing to take part in, and what else is open."""
    from tasks.planning.stored import open_ids, open_plans

    plans, ids = open_plans(wanted.root.store), open_ids(wanted.root.store)
    if unread := len(ids - {plan.identity for plan in plans}):
        return f"{unread} plans below {root} are damaged or of another version of nst: submit their manifests anew"
    if not wanted.sweep:
        return f"nothing is open below {root}"
    others = ", ".join(f"{plan.name} ({plan.identity[:8]})" for plan in plans[:_SHOWN])
    return f"nothing named {wanted.sweep!r} is open below {root}; open: {others or 'nothing'}"


def _say_begun(order: SweepOrder | TrainingOrder) -> None:
    err.say(f"taking part in {order.prepared.name}")


def _work(wanted: Wanted, root: str, told: Terminal) -> int:
    """Take part, and return the exit code: 1 if anything failed, or this machine could not take part in something."""
    from flows.command.progress import ProgressBar
    from flows.engine import InlineEngine, watching
    from flows.order.participation import take_part
    from flows.stop import begin, outcome, stop_signals

    stopping = threading.Event()
    bar = ProgressBar(err, "done")
    with (
        stop_signals(stopping),
        bar,
        watching(bar.show),
        InlineEngine(len(wanted.devices), stopping) as engine,
    ):

        def steps() -> int:
            refused: list[str] = []
            summaries: list[Summary] = []

            def refuse(reason: str) -> None:
                refused.append(reason)
                err.say(reason)

            for summary in take_part(wanted, engine, bar.show_step, _say_begun, refuse):
                summaries.append(summary)
                for line in summary.lines(root):
                    told.say(line)
            if not summaries and not refused:
                told.say(_nothing_open(wanted, root))
            return max([1 if refused else 0, *(summary.exit_code for summary in summaries)])

        return outcome(begin(steps), stopping)
