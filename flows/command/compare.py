"""`nst compare`: what differs between two sweeps, two cells or two models."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path  # noqa: TC003  typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.columns import print_columns
from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from tasks.pages.comparison import Comparison

_PAIRS_SHOWN: Final = 10
"""Pairs whose pictures are named in the terminal."""

out = Terminal()
err = Terminal(stderr=True)


def compare(
    a: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of the id of a sweep, cell or model.")],
    b: Annotated[str, typer.Argument(help="The other one.")],
    root: RootOption = "out",
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE.html", help="Write it as a page.")] = None,
) -> None:
    """Say what differs between two sweeps, two cells or two models.

    Settings, what was measured, and pictures. Of two sweeps the cells are paired that have equal names and settings,
    but for those settings in which the sweeps have no value in common.
    """
    from nst.errors import InputError
    from tasks.pages import comparison as comparing
    from tasks.root import open_root
    from tasks.status import find_sweeps

    opened = open_root(root, must_exist=True)

    @cache
    def sweep(wanted: str) -> str | None:
        try:
            found, *others = find_sweeps(opened, wanted)
        except InputError:
            return None
        if others:
            ids = ", ".join(status.sweep_id[:8] for status in others)
            err.say(f"comparing {found.sweep_id[:8]}, the newest sweep called {wanted}; others: {ids}")
        return found.sweep_id

    found = comparing.compare(opened, a, b, sweep)
    if page:
        text = comparing.comparison_page(opened, found, page.absolute().as_uri())
        try:
            page.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {page}: {error.strerror or error}") from error
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2))
        return
    _print(found)
    if page:
        out.say(f"page: {page}")


def _print(found: Comparison) -> None:
    """Print a comparison as tables."""
    from tasks.pages.comparison.page import shown

    out.say(f"A: {found.a}")
    out.say(f"B: {found.b}")
    if found.counted:
        out.say(found.counted)
    out.say("")
    if found.settings:
        rows = [[setting.name, shown(setting.a), shown(setting.b)] for setting in found.settings]
        print_columns(out, ("setting", "A", "B"), rows, names={0, 1, 2})
    else:
        partly = any(name.startswith("not made") for name in found.counts)
        out.say("no setting differs" + (" in the cells that are made" if partly else ""))
    differing = [metric for metric in found.metrics if metric.higher or metric.lower]
    if differing:
        out.say("")
        rows = [
            [metric.name, shown(metric.a), shown(metric.b), f"{metric.delta:+.4g}", f"{metric.higher}/{metric.pairs}"]
            for metric in differing
        ]
        many = found.kind == "sweeps"
        heads = ("mean over pairs" if many else "number", "A", "B", "B - A", *(["higher\nin B"] if many else []))
        rows = rows if many else [row[:4] for row in rows]
        print_columns(out, heads, rows, names={0}, numbers=range(1, len(heads)))
    elif found.metrics:
        out.say("no number differs")
    if found.pairs:
        out.say("")
    for pair in found.pairs[:_PAIRS_SHOWN]:
        out.say(pair.label)
        out.say(f"  A: {pair.a.picture}")
        out.say(f"  B: {pair.b.picture}")
    if len(found.pairs) > _PAIRS_SHOWN:
        out.say(f"and {counted(len(found.pairs) - _PAIRS_SHOWN, 'pairs')} more; --page shows their pictures")
