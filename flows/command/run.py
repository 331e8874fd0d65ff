"""`nst plan` and `nst run`: what a manifest would do, and doing it. Parses arguments, prints; decides nothing."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from typing import Annotated

import typer

from flows.command.engines import (
    EngineName,
    EngineOption,
    InlineOption,
    RayAddressOption,
    chosen_engine,
    ray_places,
)
from flows.command.log_json import LogJsonOption, logged
from flows.command.options import DevicesOption, RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

out = Terminal()
err = Terminal(stderr=True)

ManifestArgument = Annotated[str, typer.Argument(help="URI or path of the manifest (YAML).")]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes to the manifest: method.size=256 sweep.seed='[1, 2]'."),
]
InputsOption = Annotated[
    str, typer.Option("--inputs", help="Folder or URI for relative inputs; by default the manifest's own folder.")
]

OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only", metavar="FILE", help="Run these cells alone: a list of ids, or what the page exports (CSV or JSON)."
    ),
]


def plan(
    manifest: ManifestArgument,
    overrides: OverridesArgument = None,
    root: RootOption = "out",
    inputs: InputsOption = "",
    only: OnlyOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Try each method out for a few seconds on this machine's device.")
    ] = False,
) -> None:
    """Show what would run, and how long it takes.

    Also what is done already, why the rest is not, and how many bytes are written.
    """
    from flows.order.request import Request, order_of
    from tasks.root import open_root

    request = Request(manifest, open_root(root), inputs, confirmed=True, overrides=tuple(overrides or ()), only=only)
    order = order_of(request)
    if calibrate:
        order.calibrate()
        order = order_of(request)
    if as_json:
        typer.echo(json.dumps(order.plan_json(), indent=2))
    else:
        out.print(order.plan_table())


def run(
    manifest: ManifestArgument,
    overrides: OverridesArgument = None,
    root: RootOption = "out",
    inputs: InputsOption = "",
    only: OnlyOption = None,
    devices: DevicesOption = "",
    engine: EngineOption = EngineName.PREFECT,
    inline: InlineOption = False,
    ray_address: RayAddressOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Run also when the estimate exceeds budget.hours.")] = False,
    log_json: LogJsonOption = False,
) -> None:
    """Run what is not done yet.

    Safe to interrupt: run again, and only the rest runs.
    """
    err.say(f"reading and planning {manifest}")
    from flows.command.progress import ProgressBar
    from flows.here import run_here, run_inline
    from flows.order.remarks import remarks
    from flows.order.request import Request, order_of
    from tasks.prefect.server import starting_server
    from tasks.root import open_root
    from tasks.work.devices import choose_devices

    name = chosen_engine(engine, ray_address, inline=inline)
    places = ray_places(devices, ray_address) if name is EngineName.RAY else ()
    chosen = tuple(place.device for place in places) or choose_devices(devices.split(","))
    changes = tuple(overrides or ())
    starting = starting_server() if name is EngineName.PREFECT else nullcontext()  # beside planning
    told = Terminal(file=sys.stdout)  # also while Ray's own words are sent elsewhere
    with logged(told, wanted=log_json), starting as server:
        order = order_of(
            Request(manifest, open_root(root, probed=True), inputs, chosen, confirmed=yes, overrides=changes, only=only)
        )
        for remark in remarks(order):
            err.say(remark)
        with ProgressBar(err, order.noun) as bar:
            shown = (order, bar.show, bar.show_step, err.say)
            if places and order.to_do:
                from flows.ray_engine import run_on_ray

                summary = run_on_ray(order, places, bar.show, err.say)
            elif name is EngineName.PREFECT and order.to_do:
                summary = run_here(*shown, server)
            else:
                summary = run_inline(*shown)
    for line in summary.lines(order.prepared.root.typed):
        (err if log_json else out).say(line)
    raise typer.Exit(summary.exit_code)
