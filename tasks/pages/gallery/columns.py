"""Catalog rows become the data of the page: axes, settings that all cells share, metrics; each value written once."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import compress
from typing import TYPE_CHECKING, Any, Final

from nst.config.backbone import NAMED
from nst.config.scores import ORDERED, ranks
from nst.config.video import OF_CLIPS
from tasks.catalog import columns as catalog
from tasks.catalog import parameters, schema
from tasks.pages.gallery.links import relative
from tasks.pages.gallery.settings import places
from tasks.pages.gallery.sources import clips, sources
from tasks.pages.gallery.values import coded, plain, preview_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NUMBERS: Final = ("steps_done", "seconds", "peak_memory_bytes", "picture_bytes", "picture_width", "picture_height")
"""Columns about the run that are worth sorting by."""

_UNITS: Final = {
    "seconds": "s", "clip_seconds": "s", "peak_memory_bytes": "B", "picture_bytes": "B",
    "picture_width": "px", "picture_height": "px", "psnr_content": "dB",
}  # fmt: skip

_CLIP_NUMBERS: Final = tuple(column for column in catalog.CLIP if column.type == "float64")


def tabulate(
    rows: Sequence[Mapping[str, Any]],
    page_uri: str,
    moments: Mapping[str, Sequence[float]] | None = None,
    *,
    growing: bool = False,
) -> dict[str, Any]:
    """Return what the script of the page reads (`model.js`): plain JSON values, no NaN.

    Axes are the parameters that vary, and the column `sweep` where a page shows several. A parameter that follows from
    another (two axes paired by `zip`, a setting that only one optimiser has, layers that only some weights reach) is
    not an axis but a follower, shown with the cell.

    Args:
        rows: As for `build_gallery`.
        page_uri: Where the page will lie.
        moments: When each frame of the clips is shown, by the id of a cell.
        growing: Whether cells will get their numbers later (`update_of`): then every metric is listed, those that no
            cell has yet without values.
    """
    cells = _row_per_cell(rows)
    filled = {name for row in cells for name in row}
    settings = {c.name: [plain(row.get(c.name), c.type) for row in cells] for c in _settings() if c.name in filled}
    settings.setdefault("method", [None] * len(cells))
    known = [method is not None for method in settings["method"]]  # nothing is known of a cell that is not done
    seen = {key: set(compress(values, known)) for key, values in settings.items()}
    varying = {key: coded(values) for key, values in settings.items() if len(seen[key]) > 1}
    followers: dict[str, dict[str, Any]] = {}
    axes: list[dict[str, Any]] = []
    for kind, name in (("sweep", "sweep"), ("content", "content_name"), ("style", "style_name")):
        column = coded([str(plain(row.get(name)) or "") for row in cells])
        if len(column["values"]) > 1:
            axes.append({"key": kind, "label": kind, **column})
    first = {"method", *parameters.deciding()}  # what decides the defaults of others
    deciding = [column for key, column in varying.items() if key in first]
    for key, column in varying.items():
        leaders = [axis for axis in axes if axis["key"] not in {"sweep", "content", "style"}]
        if key not in first:
            leaders += deciding
        if any(_follows(column["index"], leader["index"]) for leader in leaders):
            followers[key] = column
        else:
            axes.append({"key": key, "label": key, **column})
    numbers = {c.name: [_rounded(row.get(c.name)) for row in cells] for c in _numbers() if c.name in filled}
    numbers = {name: values for name, values in numbers.items() if any(value is not None for value in values)}
    methods = sorted({value for value in settings["method"] if value})
    about = {c.name: c.description for c in (*_settings(), *_numbers())}
    return {
        "ids": [str(row["cell_id"]) for row in cells],
        "keys": _keys(cells),
        "axes": axes,
        "followers": followers,
        "fixed": {key: values.pop() for key, values in seen.items() if len(values) == 1},
        "known": known,
        "only": {kind: _only(cells, f"{kind}_name") for kind in ("content", "style")},
        "metrics": [
            {
                "key": c.name,
                "label": c.name,
                "about": c.description,
                "descriptive": c.name in ORDERED and not ranks(c.name),
                "group": group,
                "unit": _UNITS.get(c.name, ""),
                "values": numbers.get(c.name, []),
            }
            for group, columns in _groups().items()
            for c in columns
            if growing or c.name in numbers
        ],
        "pictures": [relative(row.get("picture_uri"), page_uri) for row in cells],
        "thumbs": [relative(row.get("thumbnail_uri"), page_uri) for row in cells],
        "shapes": [_shape(row) for row in cells],
        "errors": [_error(row) for row in cells],
        "previews": _previews(cells),
        "sources": sources(cells, page_uri),
        "clips": clips(cells, moments or {}),
        "of_clips": OF_CLIPS,
        "about": {key: about[key] for key in settings},
        "paths": {method: {key: place.keys for key, place in places(method).items()} for method in methods},
        "inputless": [weights for weights in NAMED if weights != "torchvision"],
        "json": sorted({key for method in methods for key, place in places(method).items() if place.structured}),
    }


def update_of(row: Mapping[str, Any], page_uri: str, moments: Sequence[float] = ()) -> dict[str, Any]:
    """Return what a page that is open learns about a cell that was just made (`live.js`), from its row of `results`."""
    numbers = {c.name: _rounded(row.get(c.name)) for c in _numbers() if c.name in row}
    clip = next(iter(clips([row], {str(row["cell_id"]): moments})["values"]), None)
    return {
        "id": str(row["cell_id"]),
        "picture": relative(row.get("picture_uri"), page_uri),
        "thumb": relative(row.get("thumbnail_uri"), page_uri),
        "shape": _shape(row),
        "numbers": {name: value for name, value in numbers.items() if value is not None},
        "previews": preview_steps(row),
        **({"clip": clip} if clip else {}),
    }


def _row_per_cell(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return one row per cell and names of its images, in order of appearance: its result, or else its last failure."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        key = (row["cell_id"], *(plain(row.get(name)) for name in ("sweep", "content_name", "style_name")))
        if not (found.get(key) or {}).get("picture_uri"):
            found[key] = row
    return list(found.values())


def _keys(cells: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a text for each cell that no other has: its id, with a number where it appears under further names."""
    seen: Counter[str] = Counter()
    keys = []
    for row in cells:
        key = str(row["cell_id"])
        seen[key] += 1
        keys.append(key if seen[key] == 1 else f"{key}-{seen[key]}")
    return keys


def _settings() -> Iterable[catalog.Column]:
    return (catalog.Column("method", "string", "Method of the manifest."), *parameters.columns())


@cache
def _groups() -> dict[str, tuple[catalog.Column, ...]]:
    """Return the columns of numbers under the headings that the page shows them by."""
    run = (c for c in (*catalog.RUN, *catalog.PICTURE) if c.name in _NUMBERS)
    losses = [c for c in catalog.LOSSES if c.type == "float64"]
    by_layer = [c for c in losses if "_loss_" in c.name]
    converted = [c for c in losses if c.name.endswith("_relative")]
    return {
        "Losses": tuple(c for c in losses if c not in by_layer and c not in converted),
        "Steadiness of the clip": _CLIP_NUMBERS,
        "Judged by other networks": tuple(schema.judgements()),
        "Compared with content and style": tuple(schema.metrics()),
        "Run and file": tuple(run),
        "Losses by layer": tuple(by_layer),
        "Weights in relative units": tuple(converted),
    }


def _numbers() -> Iterable[catalog.Column]:
    return (column for columns in _groups().values() for column in columns)


def _follows(index: Sequence[int], other: Sequence[int]) -> bool:
    """Return whether the value of one column is a function of the value of the other."""
    return len(set(zip(other, index, strict=True))) == len(set(other))


def _rounded(value: Any) -> float | int | None:
    """Return a number with six digits: enough to look at, in half the bytes."""
    value = plain(value)
    return float(f"{value:.6g}") if isinstance(value, float) else value if isinstance(value, int) else None


def _only(cells: Sequence[Mapping[str, Any]], column: str) -> str:
    names = {str(plain(row.get(column)) or "") for row in cells}
    return names.pop() if len(names) == 1 else ""


def _error(row: Mapping[str, Any]) -> str | None:
    """Return why a cell has no picture: None if it has one, "" if it is not done."""
    if plain(row.get("picture_uri")):
        return None
    kind, message = plain(row.get("error_class")), plain(row.get("error_message"))
    return ": ".join(str(part) for part in (kind, message) if part)


def _previews(cells: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the steps that the cells have previews of, each list once; without an index if no cell has any."""
    found = coded([tuple(preview_steps(row)) for row in cells])
    return found if any(found["values"]) else {"values": [], "index": []}


def _shape(row: Mapping[str, Any]) -> str | None:
    width, height = plain(row.get("picture_width"), "int64"), plain(row.get("picture_height"), "int64")
    return f"{width} / {height}" if width and height else None
