"""`nst work`: this machine takes part in what is open below a root. Parses arguments, prints; decides nothing."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated

import typer

from flows.command.log_json import LogJsonOption, logged
from flows.command.options import DevicesOption, RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from nst.errors import Withdrawn

if TYPE_CHECKING:
    from flows.command.progress import ProgressBar
    from flows.order.participation import Wanted
    from flows.order.sweep import SweepOrder
    from flows.order.training import TrainingOrder
    from nst.errors import NstError

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


class _Screen:
    """Shows to people what a participant does."""

    def __init__(self, bar: ProgressBar) -> None:
        self.step = bar.show_step
        self.has_left_out = False
        self._bar = bar

    def begun(self, order: SweepOrder | TrainingOrder) -> None:
        err.say(f"taking part in {order.prepared.name}")
        self._bar.begin(order.noun)

    def left_out(self, name: str, error: NstError) -> None:
        self.has_left_out |= not isinstance(error, Withdrawn)
        err.say(f"{name}: {error}")

    def idle(self) -> None:
        from flows.order.participation import LOOK_EVERY_S

        err.say(f"nothing is open; looking again every {LOOK_EVERY_S:.0f} s until Control-C")


def _work(wanted: Wanted, root: str, told: Terminal) -> int:
    """Take part, and return the exit code: 1 if anything failed, or this machine could not take part in something."""
    from flows.command.progress import ProgressBar
    from flows.engine import InlineEngine, watching
    from flows.order.participation import nothing_open, take_part
    from flows.stop import begin, outcome, stop_signals

    stopping = threading.Event()
    bar = ProgressBar(err, "cells")
    with (
        stop_signals(stopping),
        bar,
        watching(bar.show),
        InlineEngine(len(wanted.devices), stopping) as engine,
    ):

        def steps() -> int:
            screen, codes = _Screen(bar), [0]
            for summary in take_part(wanted, engine, screen):
                codes.append(summary.exit_code)
                for line in summary.lines(wanted.root.typed):
                    told.say(line)
            if screen.has_left_out:
                return 1
            if len(codes) == 1:
                told.say(nothing_open(wanted, root))
            return max(codes)

        return outcome(begin(steps), stopping)
