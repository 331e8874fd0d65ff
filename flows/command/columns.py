"""Tables with names in them: numbers and ids are never cut, and names are broken into lines where they do not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

from flows.command.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from flows.command.terminal import Terminal

_NARROWEST: Final = 9
"""Columns of a terminal that every column of names gets at least."""


def print_columns(
    out: Terminal,
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    names: Collection[int],
    numbers: Collection[int] = (),
) -> None:
    """Print a table as wide as the terminal, or wider where it is too narrow for numbers and ids.

    Args:
        out: Where it is printed.
        heads: A heading for each column; it may have several lines.
        rows: The texts of each row.
        names: The numbers of the columns whose texts may be broken into lines.
        numbers: The numbers of the columns that are aligned at the right.
    """
    shown = [[cell if isinstance(cell, Text) else Text(printable(cell)) for cell in row] for row in rows]
    widths = [_widest([head, *(row[n].plain for row in shown)]) for n, head in enumerate(heads)]
    gaps = len(heads) - 1
    fixed = sum(width for n, width in enumerate(widths) if n not in names)
    gap = 2 if fixed + 2 * gaps + _NARROWEST * len(names) <= out.width else 1
    for n, width in _shared({n: widths[n] for n in names}, out.width - fixed - gap * gaps).items():
        widths[n] = width
    for cells in ([Text(head, "bold") for head in heads], *shown):
        lines = [
            (broken(cell.plain, widths[n]) if n in names else cell.plain).splitlines() for n, cell in enumerate(cells)
        ]
        for number in range(max(map(len, lines))):
            line = Text()
            for n, (cell, own) in enumerate(zip(cells, lines, strict=True)):
                text = own[number] if number < len(own) else ""
                space = " " * (widths[n] - cell_len(text))
                line.append(f"{space}{text}" if n in numbers else f"{text}{space}", cell.style)
                line.append(" " * gap)
            line.rstrip()
            out.print(line, soft_wrap=True)


def broken(name: str, width: int) -> str:
    """Return a name in lines that fit a width, broken after spaces, hyphens, underscores, dots, commas and slashes."""
    lines = [""]
    for piece in re.findall(r"[^ _.,/-]*[ _.,/-]?", name):
        if cell_len(lines[-1] + piece.rstrip()) > width and lines[-1]:
            lines.append("")
        for character in piece:  # what is too wide for a line of its own is broken anywhere
            if cell_len((lines[-1] + character).rstrip()) > width:
                lines.append("")
            lines[-1] += character
    return "\n".join(line.rstrip() for line in lines)


def _shared(wanted: dict[int, int], left: int) -> dict[int, int]:
    """Return a width for each column: what it wants, or a fair share of what is left, the narrow ones first."""
    given = {}
    for done, (number, width) in enumerate(sorted(wanted.items(), key=lambda item: item[1])):
        given[number] = min(width, max(_NARROWEST, left // (len(wanted) - done)))
        left -= given[number]
    return given


def _widest(texts: Sequence[str]) -> int:
    return max((cell_len(line) for text in texts for line in text.splitlines()), default=0)
