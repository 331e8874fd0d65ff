"""Which cells of a sweep somebody chose to run: a list of ids, or what a page exports.

Ids of cells say everything about their pixels, so that the cells of a draft have other ids than those at full size. An
export of the page says the content, the style and the settings that vary there as well, and a cell without its id in
the sweep is found by these: it stands for the cells of the sweep with the same names of content and style, and with the
same value of each axis of the sweep that the list tells.
"""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from nst.redaction import redacted
from nst.yaml.json_text import from_json
from tasks.catalog.parameters import flatten
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from nst.planning.cells import Cells

_MOST_BYTES: Final = 64 * 1024**2
_SHORTEST_ID: Final = 8
_NAMES: Final = ("content_name", "style_name")
_PROBLEMS_SHOWN: Final = 5
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that spreadsheets take for a formula, or that looks like one which an export has guarded."""

_ID: Final = re.compile(r"[0-9a-f]{8,64}")


@dataclass(frozen=True, slots=True)
class _Row:
    """A cell of a list.

    Attributes:
        where: Its place, for messages: file and line.
        cell_id: Its id, or the beginning of one.
        told: What else the list tells, by the column of `results`: names of its images, values of settings.
    """

    where: str
    cell_id: str
    told: Mapping[str, str] = field(default_factory=dict)


Listed = tuple[_Row, ...]
"""The cells of a list, at least one."""


def guarded(text: str) -> str:
    """Return a text for a CSV, with an apostrophe before what spreadsheets would run; `choices.js` writes the same.

    Example:
        >>> guarded("=1+1"), guarded("'=1+1"), guarded("cat")
        ("'=1+1", "''=1+1", 'cat')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` has made this one of.

    Example:
        >>> [unguarded(guarded(text)) for text in ("=1+1", "'=1+1", "'cat")]
        ['=1+1', "'=1+1", "'cat"]
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def read_listed(only: str | Sequence[str]) -> Listed:
    """Read which cells were chosen.

    Args:
        only: URI or path of a list, or ids. A list is a text with an id in each line; a CSV with a column `cell_id`,
            such as the page exports, of which each line counts; the JSON that the page exports, of which the favourites
            count; or a JSON list of ids.

    Raises:
        InputError: There is no such file, it is no such list, it has no cell, or it has votes.
    """
    if not isinstance(only, str):
        rows, name = [_Row(f"cell {number}", cell_id) for number, cell_id in enumerate(only, start=1)], "the list"
    else:
        name = redacted(only)
        try:
            text = _bytes_of(only).decode("utf-8-sig")
            rows = list(_rows(text, name))
        except (ValueError, csv.Error) as error:
            hint = "expected an id in each line, or what the page exports"
            raise InputError(f"{name} is no list of cells: {error}", hint=hint) from error
    if not rows:
        what = "favourite" if isinstance(only, str) and text.lstrip().startswith("{") else "cell"
        raise InputError(f"{name} has no {what}")
    return tuple(rows)


def _bytes_of(only: str) -> bytes:
    """Return the file of a list; errors as `read_listed`."""
    if not only:
        raise InputError("--only names no file", hint="leave it out for all cells")
    try:
        return read_uri(only, max_bytes=_MOST_BYTES)
    except InputError as error:
        if not _ID.fullmatch(only):
            raise
        hint = "write the id into a file, one in each line, and name the file"
        raise InputError(f"there is no file {only}; --only expects a file that lists ids", hint=hint) from error


def choose_cells(listed: Listed, cells: Cells) -> frozenset[str]:
    """Return the ids of the cells of a sweep that a list names.

    Raises:
        InputError: Cells of the list are none of the sweep; each with its place.
    """
    ids, columns = frozenset(cells.ids), _columns(cells)
    alike = _alike(cells, columns)
    found: set[str] = set()
    problems = []
    for row in listed:
        if row.cell_id in ids:
            found.add(row.cell_id)
            continue
        short = _SHORTEST_ID <= len(row.cell_id) < len(cells.ids[0])
        begun = [cell for cell in cells.ids if cell.startswith(row.cell_id)] if short else []
        same = begun or alike(row)
        if len(begun) > 1:
            problems.append(f"{row.where}: {len(begun)} cells begin with {row.cell_id}")
        elif not same:
            told = ", ".join(f"{key}={row.told[key].removesuffix('.0')}" for key in columns if key in row.told)
            problems.append(
                f"{row.where}: no cell {row.cell_id[:40]!r} in the sweep" + (f", nor any of {told}" if told else "")
            )
        found.update(same)
    if problems:
        more = len(problems) - _PROBLEMS_SHOWN
        lines = [*problems[:_PROBLEMS_SHOWN], *([f"and {more} more"] if more > 0 else [])]
        several = "from a page of several sweeps, export after choosing this sweep in the filter"
        hint = several if any(row.told for row in listed) else "`nst plan` without --only plans all cells"
        raise InputError("\n".join(lines), hint=hint)
    return frozenset(found)


def _rows(text: str, name: str) -> Iterator[_Row]:
    """Yield the cells of a list.

    Raises:
        ValueError: It is none.
    """
    lines = text.splitlines()
    begin = next((line for line in lines if line.strip()), "")
    if begin.lstrip().startswith(("{", "[")):
        yield from _of_json(text, name)
    elif "vote_id" in (heads := next(csv.reader([begin]), [])):
        raise InputError(f"{name} has votes", hint="export the cells (CSV) or the JSON, which has the favourites")
    elif "cell_id" in heads:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        for row in reader:
            told = {key: unguarded(value) if isinstance(value, str) else value for key, value in row.items()}
            yield _Row(f"{name}:{reader.line_num}", row["cell_id"] or "", _told(told))
    else:
        for number, line in enumerate(lines, start=1):
            cell_id = line.partition("#")[0].strip()
            if cell_id:
                yield _Row(f"{name}:{number}", cell_id)


def _of_json(text: str, name: str) -> Iterator[_Row]:
    found = from_json(text)
    if isinstance(found, list):
        found = {"annotations": [{"cell_id": cell_id, "favourite": True} for cell_id in found]}
    rows = found.get("annotations")
    if not isinstance(rows, list):
        raise ValueError("it has no list `annotations`")  # noqa: TRY004  a fault of the file, as all others
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("cell_id"), str):
            raise ValueError("one of its cells has no `cell_id`")  # noqa: TRY004  likewise
        if row.get("favourite") is True:
            line = 1 + text.count("\n", 0, max(0, text.find(row["cell_id"])))
            settings = row.get("settings")
            told = {key: row.get(key) for key in _NAMES} | (settings if isinstance(settings, dict) else {})
            yield _Row(f"{name}:{line}", row["cell_id"], _told(told))


def _told(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return what a row tells beside its id; what is empty is not told."""
    told = ((str(key), value) for key, value in row.items() if key not in {"cell_id", None})
    return {
        key: str(value) if key in _NAMES else _text(value) for key, value in told if value is not None and value != ""
    }


def _text(value: Any) -> str:
    """Return a value as a text that is the same for a number, a truth value and what a CSV has of them."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return repr(float(value))
    except (TypeError, ValueError):
        return str(value)


def _columns(cells: Cells) -> list[str]:
    """Return the columns by which a cell is found that has another id: names, and what the sweep varies."""
    axes = [axis.setting.removesuffix(".name").replace(".", "_") for axis in cells.variants.sweep.axes]
    several = ["method"] if len(cells.methods()) > 1 else []
    return list(dict.fromkeys([*_NAMES, *several, *axes]))


def _alike(cells: Cells, columns: Sequence[str]) -> Callable[[_Row], list[str]]:
    """Return a function to the ids of the cells that a row stands for by these columns; prepared when used."""

    @cache
    def settings(variant: int) -> Mapping[str, Any]:
        return flatten(cells.variants.config(variant))

    def tells(number: int) -> dict[str, str]:
        content, style = cells.images(number)
        names = {"content_name": content.name if content else None, "style_name": style.name if style else None}
        return _told({key: {**settings(cells.indices(number)[2]), **names}.get(key) for key in columns})

    @cache
    def told_of(keys: tuple[str, ...]) -> Mapping[tuple[str | None, ...], list[str]]:
        found = defaultdict(list)
        for number, cell_id in enumerate(cells.ids):
            told = tells(number)
            found[tuple(told.get(key) for key in keys)].append(cell_id)
        return found

    def alike(row: _Row) -> list[str]:
        keys = tuple(key for key in columns if key in row.told)
        if not set(_NAMES) & set(keys):
            return []
        return told_of(keys).get(tuple(row.told[key] for key in keys), [])

    return alike
