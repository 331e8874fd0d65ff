"""One JPEG that shows a sweep at a glance: content and style pictures head its rows and columns."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from nst.errors import InputError
from nst.pictures.images import decode
from tasks.pages.sheet_drawing import FAILED, FAINT, PAPER, TEXT, Box, cut, font, head, paste, placard, tag, wrap, write

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
    mark: str = ""
    """Written over the picture: of a clip its frames and seconds."""


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
        """Return the grid with at most `max_cells` cells, twelve across."""
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
    """Return a JPEG of the cells in a grid, as large as the cells need.

    With one parameter point the rows are contents and the columns styles; otherwise every content x style has a row
    and every parameter point a column. A cell made from a style alone (or a content, or neither) is shown in the row of
    every pair that it may be compared with. Where a column for each point would make too many columns or leave most
    places empty, the cells of a row fill lines, each cell with a caption. Rows and columns keep the order of the cells.

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
    if across:
        rows, columns = list(dict.fromkeys((c.content, "") for c in cells)), list(dict.fromkeys(c.style for c in cells))
        places = {(c.content, c.style): c for c in cells}
        return _Grid(rows, columns, [[places.get((row, column)) for column in columns] for row, _ in rows], across)
    columns = list(dict.fromkeys(cell.label for cell in cells))
    placed = _placed(cells)
    if len(placed) == 1:
        broken = len(columns) > _BROKEN_FROM
    else:
        broken = 2 * sum(map(len, placed.values())) <= len(placed) * len(columns)
    if not broken:
        return _Grid(list(placed), columns, [[row.get(column) for column in columns] for row in placed.values()])
    longest = max(map(len, placed.values()))
    width = min(_MOST_COLUMNS, max(min(longest, _BROKEN_FROM), round(1.2 * longest**0.5)))
    grid = _Grid([], [""] * width, [], captions=True)
    for pair, row in placed.items():
        for start in range(0, len(row), width):
            line = list(row.values())[start : start + width]
            grid.rows.append(("", "") if start else pair)
            grid.cells.append([*line, *[None] * (width - len(line))])
    return grid


def _placed(cells: Sequence[SheetCell]) -> dict[tuple[str, str], dict[str, SheetCell]]:
    """Return the cells of each row by label; a cell without content or style is in the row of every pair that fits."""
    pairs = dict.fromkeys((cell.content, cell.style) for cell in cells)
    homes = {
        (c, s): [pair for pair in pairs if pair != (c, s) and c in {"", pair[0]} and s in {"", pair[1]}]
        for c, s in pairs
    }
    rows: dict[tuple[str, str], dict[str, SheetCell]] = {pair: {} for pair in pairs if not homes[pair]}
    for cell in cells:
        pair = (cell.content, cell.style)
        for home in [home for home in homes[pair] if home in rows] or [pair]:
            rows[home].setdefault(cell.label, cell)
    return rows


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
        if cell.mark:
            tag(sheet, cell.mark, place)
    elif cell.error or cell.picture is not None:
        placard(sheet, "failed", cell.error or "unreadable picture", place, FAILED)
    else:
        placard(sheet, "not done", "", place, FAINT)
