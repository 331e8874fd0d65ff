"""One JPEG that shows a sweep at a glance: content and style pictures head its rows and columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from nst.errors import InputError
from nst.images import decode
from tasks.sheet_drawing import FAILED, FAINT, PAPER, TEXT, Box, cut, font, head, paste, placard, wrap, write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GAP: Final = 8
_LINE: Final = 17
_MOST_COLUMNS: Final = 12
_BROKEN_FROM: Final = 6
"""A single row of more cells than this is broken into lines."""


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One cell of a sweep as the sheet shows it."""

    content: str
    """Name of the content image, or ""."""
    style: str
    """Name of the style, or ""."""
    label: str
    """What varies besides them, e.g. "style_weight=100, seed=1", or ""."""
    picture: bytes | None
    """The picture or its thumbnail as a file; None for a cell that failed or is not done."""
    error: str = ""
    """Why there is no picture."""


@dataclass(frozen=True, slots=True)
class _Grid:
    rows: list[tuple[str, str]]
    """(content, style) of each row; the style is "" where columns hold the styles."""
    columns: list[str]
    """Their headings; empty ones where each cell has its own caption."""
    cells: list[list[SheetCell | None]]
    styles_across: bool = False
    captions: bool = False

    def cut(self, max_cells: int) -> _Grid:
        """At most `max_cells` cells, twelve across."""
        across = min(_MOST_COLUMNS, len(self.columns))
        down = max(1, max_cells // max(1, across))
        cells = [row[:across] for row in self.cells[:down]]
        return replace(self, rows=self.rows[:down], columns=self.columns[:across], cells=cells)

    def __len__(self) -> int:
        return sum(cell is not None for row in self.cells for cell in row)


def contact_sheet(
    cells: Sequence[SheetCell],
    contents: Mapping[str, bytes] | None = None,
    styles: Mapping[str, bytes] | None = None,
    *,
    title: str = "",
    tile: int = 176,
    max_cells: int = 144,
) -> bytes:
    """A JPEG of all cells in a grid, as large as its cells need and at most `max_cells` of them.

    With one parameter point the rows are contents and the columns styles; with one pair and many points they fill the
    sheet line by line, each under its caption; otherwise every content x style has a row and every parameter point a
    column. Rows and columns keep the order of the cells.

    Args:
        cells: In the order of the plan.
        contents: Pictures (file bytes) for the headers, by content name; a missing one leaves the name alone.
        styles: The same for styles.
        title: First line of the sheet.
        tile: Width of a picture in pixels.
        max_cells: Rows beyond it, and columns beyond twelve, are left out; the last line says how many cells that are.
    """
    whole = _arrange(cells)
    grid = whole.cut(max_cells)
    pictures = [[_open(cell.picture) if cell else None for cell in row] for row in grid.cells]
    shapes = [p.height / p.width for row in pictures for p in row if p is not None]
    wide, high = tile, round(tile * min(1.5, max(0.5, median(shapes) if shapes else 0.75)))
    pitch = high + _GAP + (2 * _LINE if grid.captions else 0)

    small = tile // 2
    heads = (styles or {}) if grid.styles_across else {}
    labels = [wrap(c, wide, 13) for c in grid.columns]
    lines = max((len(label) for label in labels), default=0)
    left = _GAP + (small + _GAP) * (1 if grid.styles_across else 2)
    top = 2 * _GAP + (30 if title else 0) + (small + _GAP if heads else 0) + _LINE * lines
    more = len(whole) - len(grid)
    size = max(left + len(grid.columns) * (wide + _GAP), 240), top + len(grid.rows) * pitch + (24 if more else 0)
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_GAP, _GAP), cut(title, sheet.width - 2 * _GAP, 18), TEXT, font(18))
    for i, (column, label) in enumerate(zip(grid.columns, labels, strict=True)):
        x = left + i * (wide + _GAP)
        write(draw, label, (x + wide // 2, top - _GAP - _LINE * len(label)))
        above = top - 2 * _GAP - _LINE * lines - small
        paste(sheet, _open(heads.get(column)), (x + (wide - small) // 2, above, small, small))
    for j, row in enumerate(grid.rows):
        y = top + j * pitch
        for k, (name, known) in enumerate(((row[0], contents or {}), (row[1], styles or {}))):
            if name:
                head(sheet, name, _open(known.get(name)), (_GAP + k * (small + _GAP), y, small, high))
        for i, cell in enumerate(grid.cells[j]):
            if cell is not None:
                _cell(sheet, cell, pictures[j][i], (left + i * (wide + _GAP), y, wide, high), caption=grid.captions)
    if more:
        draw.text((_GAP, sheet.height - 20), f"+{more} more", FAINT, font(14))
    out = BytesIO()
    sheet.save(out, "JPEG", quality=88, optimize=True)
    return out.getvalue()


def _arrange(cells: Sequence[SheetCell]) -> _Grid:
    across = len({cell.label for cell in cells}) <= 1
    placed = {((c.content, "" if across else c.style), c.style if across else c.label): c for c in cells}
    rows, columns = list(dict.fromkeys(row for row, _ in placed)), list(dict.fromkeys(column for _, column in placed))
    if not across and len(rows) == 1 and len(columns) > _BROKEN_FROM:
        flat = list(placed.values())
        width = min(_MOST_COLUMNS, max(_BROKEN_FROM, round(1.2 * len(flat) ** 0.5)))
        lines = [flat[i : i + width] for i in range(0, len(flat), width)]
        padded: list[list[SheetCell | None]] = [[*line, *[None] * (width - len(line))] for line in lines]
        return _Grid([*rows, *[("", "")] * (len(lines) - 1)], [""] * width, padded, captions=True)
    return _Grid(rows, columns, [[placed.get((row, column)) for column in columns] for row in rows], across)


def _open(data: bytes | None) -> Image.Image | None:
    if data is None:
        return None
    try:
        return Image.fromarray(decode(data))
    except InputError:
        return None


def _cell(sheet: Image.Image, cell: SheetCell, picture: Image.Image | None, place: Box, *, caption: bool) -> None:
    if caption:
        left, top, width, height = place
        write(ImageDraw.Draw(sheet), wrap(cell.label, width, 13, 2), (left + width // 2, top + height + 2))
    if picture is not None:
        paste(sheet, picture, place)
    elif cell.error or cell.picture is not None:
        placard(sheet, "failed", cell.error or "unreadable picture", place, FAILED)
    else:
        placard(sheet, "not done", "", place, FAINT)
