"""`nst rm` and `nst repair`: what they would take away is shown first, and taken away with `--yes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from tasks.fsck.pictures import FaultyRow

_SHOWN: Final = 10
"""Rows that a repair lists."""

_NOTHING_CHANGED: Final = "nothing was changed; pass --yes to do it"

YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would be taken away.")]

out = Terminal()


def rm(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of its id.")],
    root: RootOption = "out",
    yes: YesOption = False,
) -> None:
    """Remove a sweep and what only it holds.

    Its cells and pictures that no other sweep names go, too. Running its manifest again computes them anew.
    """
    from nst.errors import InputError
    from tasks.removal import finish_removals, plan_removal, remove
    from tasks.root import open_root
    from tasks.status import find_sweeps

    opened = open_root(root, probed=yes, must_exist=True)
    ended = finish_removals(opened) if yes else 0
    if ended:
        out.say(f"ended {counted(ended, 'removals')} that had begun before")
    try:
        found, *others = find_sweeps(opened, sweep)
    except InputError:
        if ended:  # this sweep's, presumably
            return
        raise
    if others:
        ids = ", ".join(status.sweep_id[:8] for status in (found, *others))
        raise InputError(
            f"{1 + len(others)} sweeps answer to {sweep!r}", hint=f"name one by its id, newest first: {ids}"
        )
    planned = plan_removal(opened, found.sweep_id, found.name)
    shared = planned.total - len(planned.cells)
    total = counted(planned.total, "cells")
    out.say(f"sweep {found.name} ({found.sweep_id[:8]}): {total}, {shared:,} of them in other sweeps too")
    cells = f"the rows of {counted(len(planned.cells), 'cells')}"
    size = counted(planned.picture_bytes, "bytes")
    pictures = f"{counted(len(planned.pictures), 'pictures')} ({size}) with their thumbnails"
    plan = ", its plan, so that nobody takes part in it any more," if found.is_open else ","
    what = f"{cells}, {pictures}{plan} and the page of the sweep"
    if not yes:
        out.say(f"would remove {what}; {_NOTHING_CHANGED}")
        return
    remove(opened, planned)
    out.say(f"removed {what}")


def repair(
    root: RootOption = "out",
    read_data: Annotated[
        float, typer.Option("--read-data", min=0, max=1, help="Share of the pictures whose bytes are read and checked.")
    ] = 1.0,
    grace: Annotated[
        float, typer.Option("--grace", min=1, help="Hours for which pictures and other files stay that no row names.")
    ] = 24.0,
    yes: YesOption = False,
) -> None:
    """Drop rows whose picture is gone or differs, and remove what no row names and plans that are damaged.

    The rows run again with the next `nst run`; rows of frames of clips, and of models whose weights are gone, likewise.
    What no row names was left by batches that were killed, or that two runs computed at once. Copies of inputs were
    left by sweeps that were removed or withdrawn.
    """
    from tasks.fsck.orphans import remove_orphans
    from tasks.fsck.repair import plan_repair
    from tasks.fsck.repair import repair as do_repair
    from tasks.root import open_root

    opened = open_root(root, probed=yes, must_exist=True)
    planned = plan_repair(opened, read_data=read_data, grace=grace * 3600)
    _list("cells whose picture is gone or differs, or lacks frames", planned.cells)
    _list("frames of clips whose picture is gone or differs", planned.frames)
    _list("models whose weights are gone or differ", planned.models)
    if planned.plans:
        out.say(counted(len(planned.plans), "stored plans that no version of nst can read"))
    for plan in planned.plans:
        out.say(f"  {plan.name} {plan.what}")
    for kind in planned.orphans:
        old = f"{kind.old:,} of them ({counted(kind.old_size, 'bytes')}) for more than {grace:g} hours"
        out.say(f"{counted(kind.number, kind.kind)} ({counted(kind.size, 'bytes')}) that no row names, {old}")
    if not planned.faults and not planned.plans and not any(kind.old for kind in planned.orphans):
        out.say("nothing to repair")
    elif not yes:
        out.say(_NOTHING_CHANGED)
    else:
        dropped = do_repair(opened, planned)
        if planned.faults:
            out.say(f"dropped {counted(dropped, 'rows')}; run their sweeps and trainings again to make them anew")
        if planned.plans:
            out.say(f"removed {counted(len(planned.plans), 'plans')}; submit their manifests anew")
        number, size = remove_orphans(opened, grace * 3600)
        if number:
            out.say(f"removed {counted(number, 'objects')} ({counted(size, 'bytes')}) that no row named")


def _list(title: str, rows: tuple[FaultyRow, ...]) -> None:
    if rows:
        out.say(counted(len(rows), title))
    for row in rows[:_SHOWN]:
        out.say(f"  {row.id[:8]} {row.where}: {row.what}")
    if len(rows) > _SHOWN:
        out.say(f"  and {len(rows) - _SHOWN:,} more")
