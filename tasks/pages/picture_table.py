"""A table of pictures for notebooks: `nst.grid`."""

from __future__ import annotations

import base64
import difflib
from dataclasses import dataclass
from functools import cached_property
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from nst.errors import InputError, NstError
from tasks.catalog import parameters
from tasks.catalog.parameters import compact
from tasks.pages.contact_sheet import SheetCell, contact_sheet
from tasks.pages.gallery.values import coded, plain
from tasks.pages.pictures import thumbnail_of
from tasks.pages.rows import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

MOST: Final = 400
"""Rows of a table of pictures: about 5 MB of a notebook."""

_NAMES: Final = ("content_name", "style_name")
_MOST_PX: Final = 256
_TH: Final = "text-align:center;vertical-align:middle;font-weight:600;max-width:14em;overflow-wrap:anywhere"
_TD: Final = "text-align:center;vertical-align:top"


@dataclass(frozen=True, repr=False)
class PictureTable:
    """Pictures in rows and columns, which a notebook shows by itself.

    Attributes:
        rows: What heads the rows, "" if there is one row without a head.
        columns: What heads the columns.
        places: The rows of `results` that share each place, by the numbers of its row and column.
        size: Width of a picture in pixels.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    places: dict[tuple[int, int], list[dict[str, Any]]]
    size: int

    @property
    def note(self) -> str:
        """What is not seen: how many cells stand behind others, and what they differ in; "" if all are shown."""
        hidden = sum(len(cells) - 1 for cells in self.places.values())
        if not hidden:
            return ""
        found = dict.fromkeys(name for cells in self.places.values() for name in _differing(cells))
        differ = f"; cells of one place differ in {', '.join(found)}" if found else ""
        return f"{hidden} of {hidden + len(self.places)} cells are not shown, only the first of each place{differ}"

    @cached_property
    def image(self) -> Image.Image:
        """The table as one picture; of more than twelve columns it says how many are left out."""
        cells = []
        for (row, column), _ in sorted(self.places.items()):
            picture, error = self._thumbnails[row, column]
            cells.append(SheetCell(self.rows[row], self.columns[column], "", picture, error))
        return Image.open(
            BytesIO(contact_sheet(cells, title=self.note.partition(",")[0], tile=self.size, max_cells=MOST))
        )

    def __repr__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"<{len(self.rows)} x {len(self.columns)} pictures, shown by a notebook or as .image{note}>"

    def _repr_html_(self) -> str:
        heads = "".join(f'<th style="{_TH}">{escape(name)}</th>' for name in self.columns)
        lines = [f"<tr><th></th>{heads}</tr>"]
        for row, name in enumerate(self.rows):
            places = "".join(
                f'<td style="{_TD}">{self._place(row, column)}</td>' for column in range(len(self.columns))
            )
            lines.append(f'<tr><th style="{_TH}">{escape(name)}</th>{places}</tr>')
        note = f"<p>{escape(self.note)}</p>" if self.note else ""
        return f"<table>{''.join(lines)}</table>{note}"

    def _place(self, row: int, column: int) -> str:
        cells = self.places.get((row, column))
        if not cells:
            return ""
        picture, error = self._thumbnails[row, column]
        about = escape(f"{self.rows[row]} {self.columns[column]} {cells[0].get('cell_id', '')}".strip())
        if picture is None:
            shown = f"<em>{escape(error)}</em>"
        else:
            url = f"data:image/webp;base64,{base64.b64encode(picture).decode()}"
            shown = f'<img src="{url}" alt="{about}" title="{about}" width="{self.size}">'
        return f"{shown}<br><small>1 of {len(cells)}</small>" if len(cells) > 1 else shown

    @cached_property
    def _thumbnails(self) -> dict[tuple[int, int], tuple[bytes | None, str]]:
        """The file of the first picture of each place, or why there is none."""
        found: dict[tuple[int, int], tuple[bytes | None, str]] = {}
        for place, cells in self.places.items():
            try:
                found[place] = thumbnail_of(cells[0]), ""
            except NstError as error:
                found[place] = None, error.message
        return found


def picture_table(
    frame: pd.DataFrame, rows: str | Sequence[str], columns: str | Sequence[str], size: int
) -> PictureTable:
    """Return the pictures of rows of `results` as a table.

    Args:
        frame: The rows.
        rows: The column or columns whose values head the rows; one that is not there heads none if it is the default.
        columns: The same for the columns.
        size: Width of a picture in pixels.

    Raises:
        InputError: A column is missing, there are no rows or too many, or the size is none.
    """
    if not hasattr(frame, "to_dict") or getattr(frame, "ndim", 0) != 2:
        raise InputError(f"found {type(frame).__name__}, expected rows of the results", hint="nst.results() gives them")
    if not isinstance(size, int) or not 16 <= size <= _MOST_PX:
        raise InputError(f"found the size {size!r}, expected 16 to {_MOST_PX} pixels")
    if not 0 < len(frame) <= MOST:
        hint = "choose some, for instance frame.head(100)" if len(frame) else ""
        raise InputError(f"found {len(frame):,} rows, expected 1 to {MOST}", hint=hint)
    cells = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    (down, row_heads), (across, column_heads) = (_heads(cells, _columns(frame, asked)) for asked in (rows, columns))
    places: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for cell, *place in zip(cells, down, across, strict=True):
        places.setdefault((place[0], place[1]), []).append(cell)
    return PictureTable(row_heads, column_heads, places, size)


def _columns(frame: pd.DataFrame, asked: str | Sequence[str]) -> list[str]:
    """Return the columns that head rows or columns; names that no cell has, such as contents of textures, head none.

    Raises:
        InputError: There is no such column.
    """
    names = [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in frame.columns and name not in _NAMES:
            near = difflib.get_close_matches(str(name), map(str, frame.columns), 1)
            raise InputError(f"there is no column {name!r}", hint=f"did you mean {near[0]!r}?" if near else "")
    return [name for name in names if name in frame.columns]


def _heads(cells: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> tuple[list[int], tuple[str, ...]]:
    """Return the number of the row or column of each cell, and the heads: numbers ascending, texts as they appear."""
    indices, texts = [[0] * len(cells)], []
    for column in columns:
        codes = coded([_plain(cell[column]) for cell in cells])
        indices.append(codes["index"])
        texts.append([_text(column, value) for value in codes["values"]])
    keys = list(zip(*indices, strict=True))
    order = {key: number for number, key in enumerate(sorted(set(keys)))}
    heads = tuple(", ".join(texts[n][code] for n, code in enumerate(key[1:])) for key in order)
    return [order[key] for key in keys], heads


def _plain(value: Any) -> Any:
    return compact(value) if isinstance(value, list | dict) else plain(value)


def _text(column: str, value: Any) -> str:
    shown = "-" if value is None else short(value)
    return shown if column in _NAMES else f"{column}={shown}"


def _differing(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names and settings in which cells of one place differ."""
    columns = [*_NAMES, "method", *(column.name for column in parameters.columns())]
    return [name for name in columns if len({_plain(cell.get(name)) for cell in cells}) > 1]
