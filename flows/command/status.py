"""`nst status`: what was submitted below a root and how far it is. Parses arguments, prints; decides nothing."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.text import Text

from flows.command.columns import print_columns
from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.status.detail import Detail
    from tasks.status.submissions import Overview, Submission

_SHOWN: Final = 5
"""Causes of failures that are shown, and machines that cannot take part."""

out = Terminal()
err = Terminal(stderr=True)


def status(
    sweep: Annotated[
        str, typer.Argument(help="Name of a sweep or an open training, or the beginning of its id: in detail.")
    ] = "",
    root: RootOption = "out",
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """List the sweeps and open trainings, or show one of them in detail.

    What of each is done, has failed, or was not tried yet, and who takes part. In detail also the time that is left at
    the pace of the last minutes, why what failed has failed, the page, and what to type next.
    """
    from tasks.root import open_root
    from tasks.status.detail import detail
    from tasks.status.submissions import overview

    opened = open_root(root, must_exist=True)
    there_is = overview(opened, sweep)
    if not sweep:
        if as_json:
            typer.echo(json.dumps(there_is.to_json(), indent=2))
        else:
            print_overview(there_is, out)
        return
    found, *others = there_is.find(sweep)
    if others:
        ids = ", ".join(each.id[:8] for each in others)
        err.say(f"showing {found.id[:8]}, the newest called {sweep}; others: {ids}")
    shown = detail(opened, there_is, found)
    if as_json:
        typer.echo(
            json.dumps({"root": opened.uri, **shown.to_json(), "next": _next(shown, opened.typed) or None}, indent=2)
        )
    else:
        print_detail(shown, opened.typed, out)


def print_overview(there_is: Overview, told: Terminal) -> None:
    """List what was submitted, and the plans in which nobody takes part."""
    rows: list[list[str | Text]] = []
    for each in there_is.submissions:
        total = f"{each.total:,}" if each.kind == "sweep" else counted(each.total, each.noun)
        counts = (f"{count:,}" for count in (each.done, each.failed, each.not_tried))
        submitted = f"{each.submitted_at:%Y-%m-%d %H:%M}Z"
        rows.append([each.name, each.id[:8], submitted, total, *counts, _state(each)])
    heads = ("name", "id", "submitted", "cells", "done", "failed", "not\ntried", "state")
    if rows:
        print_columns(told, heads, rows, names={0}, numbers=range(3, 7))
    else:
        told.say(f"no sweep has been submitted to {there_is.uri}")
    for plan in there_is.unreadable:
        told.say(f"{plan} ({plan.hint})")


def print_detail(shown: Detail, root: str, told: Terminal) -> None:
    """Show one sweep or open training.

    Args:
        shown: What is known of it.
        root: The root as it is typed in any folder.
        told: Where it is printed.
    """
    about = shown.submission
    told.say(f"{about.kind} {about.name} ({about.id}), {about.state}")
    counts = f"{about.done:,} done, {about.failed:,} failed, {about.not_tried:,} not tried yet"
    lines = [
        ("submitted", f"{about.submitted_at:%Y-%m-%d %H:%M}Z"),
        ("manifest", f"{shown.manifest} with {shown.changes}" if shown.changes else shown.manifest),
        (about.noun, f"{about.total:,}: {counts}"),
        ("pace", _pace(shown)),
        ("page", shown.page),
    ]
    for name, text in lines:
        if text:
            told.say(f"{name + ':':11}{text}")
    told.say(f"{'at it:':11}{'' if shown.participants else 'nobody'}".rstrip())
    for each in shown.participants:
        since = _age(each.silent_s)
        silent = "" if each.is_alive else ": silent, so that others take over what it had in hand"
        told.say(f"  {each.id} on {each.host or 'an unknown machine'}, process {each.pid}, last seen {since}{silent}")
    left_out = [f"{each.host}, which looked {_ago(each.at)}: {each.error}" for each in shown.left_out]
    _list("cannot take part", left_out, "machines", told)
    causes = [f"{counted(cause.number, about.noun)}: {cause.text}" for cause in shown.causes]
    _list("failed because of", causes, "causes", told)
    if command := _next(shown, root):
        told.say(f"{'next:':11}{command}")


def _list(title: str, lines: Sequence[str], noun: str, told: Terminal) -> None:
    """Show the first of some lines below a title, and how many more there are; nothing if there are none."""
    if lines:
        told.say(title)
    for line in lines[:_SHOWN]:
        told.say(f"  {line}")
    if len(lines) > _SHOWN:
        told.say(f"  and {counted(len(lines) - _SHOWN, noun)} more; --json lists all")


def _pace(shown: Detail) -> str:
    """Return the pace of the last minutes and the time that is left at it, "" where neither is known."""
    from flows.order.summary import duration

    if shown.per_hour is None:
        return ""
    left = "" if shown.seconds_left is None else f", about {duration(shown.seconds_left)} left"
    return f"about {shown.per_hour:,.3g} {shown.submission.noun} an hour in the last minutes{left}"


def _age(seconds: float) -> str:
    from flows.order.summary import duration

    return f"{duration(max(0.0, seconds))} ago"


def _ago(at: datetime) -> str:
    return _age((datetime.now(UTC) - at).total_seconds())


def _next(shown: Detail, root: str) -> str:
    """Return the command that its user is likely to want, "" where there is none."""
    about, at = shown.submission, f"--root {shlex.quote(root)}"
    if about.is_open or about.state == "running":
        return f"nst work {at} --sweep {about.id[:8]}"
    if about.state == "done":
        return f"nst gallery {about.id[:8]} --open {at}"
    if not shown.manifest:
        return ""
    changes = f" {shown.changes}" if shown.changes else ""
    command = "nst submit" if about.state == "withdrawn" else "nst run"
    return f"{command} {shlex.quote(shown.manifest)}{changes} {at}"


def _state(about: Submission) -> Text:
    if about.state == "running":
        return Text("running" if about.taking_part == 1 else f"{about.taking_part} running", "cyan")
    return Text(about.state, {"done": "green", "failures": "red"}.get(about.state, "yellow"))
