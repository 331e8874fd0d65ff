"""What `nst status` prints: the sweeps below a root. Prints; decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from flows.command.columns import print_columns
from flows.counted import counted
from tasks.status import sweep_statuses

if TYPE_CHECKING:
    from pathlib import Path

    from flows.command.terminal import Terminal
    from tasks.pages.export import Exported
    from tasks.root import Root
    from tasks.status import SweepStatus

_FAILURES_SHOWN: Final = 10


def print_status(root: Root, out: Terminal) -> None:
    """List the sweeps of a root."""
    statuses = sweep_statuses(root)
    if not statuses:
        out.say(f"no sweep has been submitted to {root.uri}")
        return
    rows: list[list[str | Text]] = []
    for status in statuses:
        counts = (f"{count:,}" for count in (status.total, status.done, status.failed, status.to_do))
        submitted = f"{status.submitted_at:%Y-%m-%d %H:%M}Z"
        rows.append([status.name, status.sweep_id[:8], submitted, *counts, _state(status)])
    heads = ("sweep", "id", "submitted", "cells", "done", "failed", "not\ntried", "state")
    print_columns(out, heads, rows, names={0}, numbers=range(3, 7))


def print_export(exported: Exported, folder: Path, out: Terminal, *, page: bool = False) -> None:
    """Say what an export wrote, and which cells have no picture."""
    lines = [f"{counted(exported.pictures, 'pictures')} and catalog.csv in {folder}"]
    if page:
        lines.append("page: index.html there, which opens in a browser")
    if exported.failed:
        lines.append(f"{counted(len(exported.failed), 'cells')} failed, without a picture; failed.csv says why")
        lines += [f"  {line}" for line in exported.failed[:_FAILURES_SHOWN]]
    if len(exported.failed) > _FAILURES_SHOWN:
        lines.append(f"  and {len(exported.failed) - _FAILURES_SHOWN:,} more")
    if exported.to_do:
        lines.append(f"{counted(exported.to_do, 'cells')} not done yet")
    for line in lines:
        out.say(line)


def _state(status: SweepStatus) -> Text:
    if status.running:
        return Text("running" if status.running == 1 else f"{status.running} running", "cyan")
    if status.is_open:
        return Text("open", "yellow")
    if status.to_do:
        return Text("incomplete", "yellow")
    return Text("failures", "red") if status.failed else Text("done", "green")
