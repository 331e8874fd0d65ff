"""From two names to a comparison: sweeps are paired cell by cell, cells and models are set side by side."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from nst.errors import InputError
from tasks.catalog import columns as fixed
from tasks.catalog import model_columns, parameters, schema
from tasks.layout import picture_key, samples_key, thumbnail_key
from tasks.pages.comparison.records import Comparison, Metric, Pair, Setting, Side
from tasks.pages.gallery.values import plain
from tasks.pages.rows import short, sweep_rows
from tasks.pages.show import cell_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tasks.root import Root

Row = dict[str, Any]

_LEAST: Final = 4
"""Characters of an id that must be named."""

_INPUTS: Final = (
    "content_name", "content_digest", "content_mask_digest", "style_name", "style_digests", "style_mask_digests",
    "style_weights", "style_mix", "style_scales", "model_id", "finish_model_id", "method", "method_version",
    "picture_format", "picture_quality",
)  # fmt: skip
"""What determines a picture besides the settings of its method."""

_PAIRED_BY: Final = ("method", "content_name", "content_mask_digest", "style_name", "style_mask_digests")
"""Names rather than digests: the same name may be another version of a picture, and that is worth comparing."""

_RUN: Final = ("steps_done", "seconds", "peak_memory_bytes", "picture_bytes", "picture_width", "picture_height")


def compare(root: Root, a: str, b: str, sweeps: Callable[[str], str | None]) -> Comparison:
    """Compare two sweeps, two cells or two models.

    Args:
        root: The root.
        a: Name of a sweep, or at least four characters of the beginning of the id of a sweep, a cell or a model.
        b: The same for the other one.
        sweeps: Returns the id of the sweep that is meant, the newest of several; None if there is none.

    Raises:
        InputError: One of them is nothing, or they are of different kinds.
    """
    finders: dict[str, Callable[[str], Any]] = {
        "sweep": sweeps,
        "cell": lambda wanted: _one_of(root, ("results", "failures"), "cell_id", wanted),
        "model": lambda wanted: _one_of(root, ("models",), "model_id", wanted),
    }
    kinds = {wanted: [kind for kind, find in finders.items() if find(wanted)] for wanted in (a, b)}
    for wanted, found in kinds.items():
        if not found:
            raise InputError(
                f"there is no sweep, cell or model {wanted!r} below {root.uri}",
                hint=f"expected a sweep's name, or at least {_LEAST} characters of an id",
            )
    common = [kind for kind in kinds[a] if kind in kinds[b]]
    if not common:
        raise InputError(f"{a!r} is a {kinds[a][0]} and {b!r} is a {kinds[b][0]}, expected two of one kind")
    kind = common[0]
    ids = [finders[kind](wanted) for wanted in (a, b)]
    if kind == "sweep":
        return _sweeps(root, ids)
    return _cells(root, ids) if kind == "cell" else _models(root, ids)


def _one_of(root: Root, tables: Sequence[str], column: str, wanted: str) -> str | None:
    """Return the id that begins so.

    Raises:
        InputError: There are several.
    """
    if len(wanted) < _LEAST:
        return None
    found = sorted({key for table in tables for key in root.catalog.keys(table, column) if key.startswith(wanted)})
    if len(found) > 1:
        shown = ", ".join(each[: len(wanted) + 4] for each in found[:5])
        raise InputError(f"{len(found)} ids begin with {wanted!r}", hint=f"name more of it: {shown}")
    return found[0] if found else None


# ---- cells and models ---------------------------------------------------------------------------------------------
def _cells(root: Root, ids: Sequence[str]) -> Comparison:
    rows = [cell_row(root, cell) for cell in ids]
    names = [*_INPUTS, *(column.name for column in parameters.columns())]
    pairs = (_pair(root, rows[0], rows[1], ()),) if all(row.get("picture_digest") for row in rows) else ()
    a, b = (f"cell {cell[:8]}" for cell in ids)
    return Comparison("cells", a, b, {}, _differing(rows, names), _metrics([rows]), pairs)


def _models(root: Root, ids: Sequence[str]) -> Comparison:
    table = {row["model_id"]: row for row in root.catalog.read("models").to_pylist()}
    rows = [table[model] for model in ids]
    names = ["name", "style_names", "data_digest", "backbone_digest", "parent_model"]
    names += [column.name for column in model_columns.settings()]
    measured = [name for name, value in rows[0].items() if name.endswith("_loss") or name.startswith("validation_")]
    measured += ["steps_done", "photographs", "seconds", "images_per_second", "parameters"]
    a, b = (f"{row['name']} ({row['model_id'][:8]})" for row in rows)
    pairs: tuple[Pair, ...] = ()
    if all(row.get("samples_uri") for row in rows):
        keys = [samples_key(row["model_id"], row["steps_done"]) for row in rows]
        sides = [Side(model, *[root.store.url(key)] * 2) for model, key in zip(ids, keys, strict=True)]
        pairs = (Pair("validation pictures above, and what the model makes of them", *sides),)
    return Comparison("models", a, b, {}, _differing(rows, names), _metrics([rows], measured), pairs)


def _differing(rows: Sequence[Row], names: Iterable[str]) -> tuple[Setting, ...]:
    values = [(name, *(plain(row.get(name)) for row in rows)) for name in names]
    return _without_digests(tuple(Setting(name, a, b) for name, a, b in values if a != b))


# ---- sweeps -------------------------------------------------------------------------------------------------------
def _sweeps(root: Root, ids: Sequence[str]) -> Comparison:
    cells, labels = zip(*(_cell_ids(root, sweep) for sweep in ids), strict=True)
    rows = [sweep_rows(root.catalog, sweep).drop_duplicates("cell_id").to_dict("records") for sweep in ids]
    plains: list[list[Row]] = [[{str(k): plain(v) for k, v in row.items()} for row in side] for side in rows]
    columns = [*_INPUTS, *(column.name for column in parameters.columns())]
    values = {name: [_values(side, name) for side in plains] for name in columns}
    made = [{row["cell_id"] for row in side} for side in plains]
    to_do = [len(side - known) for side, known in zip(cells, made, strict=True)]
    settings = tuple(
        Setting(name, tuple(a), tuple(b))
        for name, (a, b) in values.items()
        if set(a) != set(b) and not (_may_follow(a, b, plains[1], to_do[1]) or _may_follow(b, a, plains[0], to_do[0]))
    )
    paired = _paired(plains, keys := _keys(values))
    different = [pair for pair in paired if pair[0]["cell_id"] != pair[1]["cell_id"]]
    counts = {
        "in both": len(made[0] & cells[1]),
        "only in A": len(made[0] - cells[1]),
        "only in B": len(made[1] - cells[0]),
        "pairs of different cells": len(different),
    } | {f"not made yet in {side}": number for side, number in zip("AB", to_do, strict=True) if number}
    pairs = tuple(_pair(root, *pair, [key for key in keys if key not in _INPUTS]) for pair in different)
    return Comparison(
        "sweeps", labels[0], labels[1], counts, _without_digests(settings), _metrics(different), pairs, tuple(keys)
    )


def _may_follow(values: Sequence[Any], fewer: Sequence[Any], made: Sequence[Row], to_do: int) -> bool:
    """Return whether cells that are not made yet may bring the values that a sweep has fewer of."""
    return to_do > 0 and set(fewer) < set(values) and (bool(fewer) or not made)


def _keys(values: Mapping[str, Sequence[Sequence[Any]]]) -> list[str]:
    """Return the columns in which the cells of a pair agree.

    A setting without a common value is what tells the sweeps apart: cells are paired across it. One that has a single
    value everywhere tells no cell from another.
    """
    asked = [name for name in values if name not in _INPUTS or name in _PAIRED_BY]
    common = [name for name in asked if set(values[name][0]) & set(values[name][1])]
    return [name for name in common if any(len(side) > 1 for side in values[name])]


def _without_digests(settings: tuple[Setting, ...]) -> tuple[Setting, ...]:
    """Leave out digests that differ because the names do."""
    names = {setting.name.partition("_")[0] for setting in settings if setting.name in {"content_name", "style_name"}}
    digests = {f"{name}_{rest}" for name in names for rest in ("digest", "digests")}
    return tuple(setting for setting in settings if setting.name not in digests)


def _cell_ids(root: Root, sweep: str) -> tuple[set[str], str]:
    """Return the ids of the cells of a sweep, and what people call it."""
    table = root.catalog.read("sweeps", ["sweep_id", "sweep_name", "cell_id"], where=("sweep_id", {sweep}))
    return set(table["cell_id"].to_pylist()), f"{table['sweep_name'][0].as_py()} ({sweep[:8]})"


def _values(rows: Sequence[Row], name: str) -> list[Any]:
    """Return the distinct values of a column, numbers ascending, other values as they appear, missing ones left out."""
    found = list(dict.fromkeys(row[name] for row in rows if row.get(name) is not None))
    return sorted(found) if all(isinstance(value, int | float) for value in found) else found


def _paired(sides: Sequence[Sequence[Row]], keys: Sequence[str]) -> list[tuple[Row, Row]]:
    """Return the cells of two sweeps that agree in these columns; of several that do, the first with the first."""
    groups: list[defaultdict[tuple[Any, ...], list[Row]]] = []
    for side in sides:
        group: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in side:
            group[tuple(row.get(key) for key in keys)].append(row)
        groups.append(group)
    return [pair for key, rows in groups[0].items() for pair in zip(rows, groups[1].get(key, []), strict=False)]


def _pair(root: Root, a: Row, b: Row, keys: Iterable[str]) -> Pair:
    names = [text for row in (a, b) for name in ("content_name", "style_name") if (text := row.get(name))]
    about = [f"{key}={short(a[key])}" for key in keys if a.get(key) is not None]
    return Pair(", ".join([" x ".join(dict.fromkeys(names)), *about]), _side(root, a), _side(root, b))


def _side(root: Root, row: Row) -> Side:
    digest, form = row["picture_digest"], row["picture_format"]
    url = root.store.url
    return Side(row["cell_id"], url(picture_key(digest, form)), url(thumbnail_key(digest)))


# ---- numbers ------------------------------------------------------------------------------------------------------
def _metrics(pairs: Sequence[Sequence[Mapping[str, Any]]], names: Sequence[str] = ()) -> tuple[Metric, ...]:
    """Return the numbers that were measured on both sides of a pair; means over these pairs."""
    found = []
    for name in names or _measured():
        numbers = [(a.get(name), b.get(name)) for a, b in pairs]
        known = [(a, b) for a, b in numbers if _is_number(a) and _is_number(b)]
        if known:
            a, b = (math.fsum(side) / len(known) for side in zip(*known, strict=True))
            delta = math.fsum(y - x for x, y in known) / len(known)
            higher, lower = sum(y > x for x, y in known), sum(y < x for x, y in known)
            found.append(Metric(name, a, b, delta, len(known), higher, lower))
    return tuple(found)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _measured() -> list[str]:
    columns = (*fixed.LOSSES, *schema.judgements(), *schema.metrics(), *fixed.CLIP)
    found = [column.name for column in columns if column.type == "float64" and not column.name.endswith("_relative")]
    return [*found, *_RUN]
