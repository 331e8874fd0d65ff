"""`nst show`: the manifest of a picture or of a cell."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.command.options import RootOption  # noqa: TC001  typer reads annotations at run time
from flows.command.terminal import Terminal

out = Terminal()


def show(
    wanted: Annotated[str, typer.Argument(metavar="FILE|CELL", help="A picture of nst, or the beginning of an id.")],
    root: RootOption = "out",
) -> None:
    """Print the manifest that makes a picture again.

    It runs as it stands: nst show picture.png > again.yaml. Exported pictures carry theirs; for others, and for a cell
    by its id, the root is asked.
    """
    from tasks.pages.show import manifest_of
    from tasks.root import open_root

    out.say(manifest_of(open_root(root), wanted).rstrip("\n"))
