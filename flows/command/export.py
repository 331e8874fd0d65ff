"""`nst export`: the pictures of a sweep, or a model, in a folder or an archive of their own."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal
from flows.counted import counted

if TYPE_CHECKING:
    from tasks.pages.export import Exported

_FAILURES_SHOWN: Final = 10

out = Terminal()
err = Terminal(stderr=True)


def export(
    sweep: Annotated[str, typer.Argument(help="Name of a sweep, or the beginning of its id or of a model's id.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write to, made if missing; or an archive DIR.zip.")],
    frames: Annotated[bool, typer.Option("--frames", help="Also write the frames of each clip as PNG files.")] = False,
    page: Annotated[
        bool, typer.Option("--page", help="Also write the page, which opens from that folder anywhere.")
    ] = False,
    root: RootOption = "out",
) -> None:
    """Write a sweep's pictures and clips, or a model.

    The pictures have readable names and carry their manifests (nst show PICTURE), and a CSV beside them has their
    settings and numbers. A folder whose name ends in .zip is written as an archive. A model's weights come
    with a card, sample pictures and, with the extra `onnx`, an ONNX graph. Of several sweeps of one name the newest is
    meant.
    """
    from flows.command.models import export_named_model
    from tasks.pages.export import export_sweep
    from tasks.pages.export_place import refuse_mixture, refuse_root
    from tasks.root import open_root
    from tasks.status import find_sweeps

    opened = open_root(root, must_exist=True)
    refuse_root(opened.store, folder)
    if not export_named_model(opened, sweep, folder, out, page=page):
        found, *others = find_sweeps(opened, sweep)
        if others:
            ids = ", ".join(status.sweep_id[:8] for status in others)
            err.say(f"exporting {found.sweep_id[:8]}, the newest sweep called {sweep}; others: {ids}")
        refuse_mixture(folder, page=page)
        exported = export_sweep(opened.catalog, found.sweep_id, folder, frames=frames, page=page)
        _print(exported, folder, page=page)


def _print(exported: Exported, folder: Path, *, page: bool) -> None:
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
