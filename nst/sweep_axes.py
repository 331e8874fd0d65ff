"""The `sweep` block: axes over the settings of a method, ranges, zipped axes and exclusions.

Pure grammar: which values an axis runs through and which points are left out. Whether a value suits its setting is
found when the variants are validated (`nst.variants`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.manifest_errors import describe, did_you_mean, keys_hint, number
from nst.sweep_rules import Rule, parse_rules
from nst.yaml_scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from nst.manifest_errors import Reporter
    from nst.positions import Path

MAX_VARIANTS: Final = 2_000_000
"""Points of the product of all axes, before exclusions; a sweep beyond is refused whatever its budget."""

_RANGE: Final = frozenset({"from", "to", "num", "scale"})
_COUNT: Final = frozenset({"count", "first"})


@dataclass(frozen=True, slots=True)
class Axis:
    """One setting and the values that it runs through.

    Attributes:
        path: The setting, dotted, below `method`.
        values: As written or generated, not yet validated.
        where: Path of the axis in the manifest. listed: Whether each value has its own position below it.
    """

    path: str
    values: tuple[Any, ...]
    where: Path
    listed: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The parts of the dotted path."""
        return tuple(self.path.split("."))

    def position(self, index: int) -> Path:
        """Return where value `index` is written."""
        return (*self.where, index) if self.listed else self.where


Dimension = tuple[Axis, ...]
"""Axes that advance together: one by default, several in `zip`."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every axis of a manifest and every rule that leaves points out; the first dimension varies slowest."""

    dimensions: tuple[Dimension, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All axes in the order of the manifest."""
        return tuple(axis for dimension in self.dimensions for axis in dimension)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Points along each dimension."""
        return tuple(len(dimension[0].values) for dimension in self.dimensions)


def parse_sweep(raw: Any, known: Collection[str], report: Reporter) -> Sweep:
    """Return the sweep of a manifest, reporting every fault.

    Args:
        raw: The value of `sweep`, None when there is none.
        known: The dotted paths of all settings of the method.
        report: Receives the problems.
    """
    if raw is None:
        return Sweep()
    if not isinstance(raw, dict):
        report.add(("sweep",), f"found {describe(raw)}, expected a mapping of axes", "e.g. style_weight: [10, 100]")
        return Sweep()
    dimensions: list[Dimension] = []
    seen: dict[str, Path] = {}
    for key, value in raw.items():
        if key == "zip":
            dimensions += _zipped(value, known, seen, report)
        elif key != "exclude" and (axis := _axis(key, value, ("sweep", key), known, seen, report)):
            dimensions.append((axis,))
    count = math.prod(len(dimension[0].values) for dimension in dimensions)
    if count > MAX_VARIANTS:
        sizes = " x ".join(str(len(dimension[0].values)) for dimension in dimensions)
        message = f"the axes make {count} points ({sizes}), expected at most {MAX_VARIANTS}"
        report.add(("sweep",), message, "take fewer values, or zip axes that belong together", key=True)
        return Sweep()
    rules = parse_rules(raw.get("exclude"), dimensions, report) if "exclude" in raw else ()
    return Sweep(tuple(dimensions), rules)


def _zipped(raw: Any, known: Collection[str], seen: dict[str, Path], report: Reporter) -> Iterator[Dimension]:
    groups = raw if isinstance(raw, list) else [raw]
    for index, group in enumerate(groups):
        where: Path = ("sweep", "zip", index) if isinstance(raw, list) else ("sweep", "zip")
        if not isinstance(group, dict) or len(group) < 2:
            found = "one axis" if isinstance(group, dict) and group else describe(group)
            report.add(
                where,
                f"found {found}, expected two or more axes to pair",
                "e.g. - {style_weight: [1, 10], tv_weight: [0, 1]}",
            )
            continue
        axes = [_axis(key, value, (*where, key), known, seen, report) for key, value in group.items()]
        whole = tuple(axis for axis in axes if axis)
        if len({len(axis.values) for axis in whole}) > 1:
            lengths = ", ".join(f"{axis.path} has {len(axis.values)}" for axis in whole)
            report.add(
                where, f"zipped axes must have equally many values: {lengths}", "drop `zip` for every combination"
            )
        elif whole:
            yield whole


def _axis(
    path: str, raw: Any, where: Path, known: Collection[str], seen: dict[str, Path], report: Reporter
) -> Axis | None:
    """Return one axis, or None after reporting what is wrong with it."""
    if path not in known:
        if path.startswith("method.") and path.removeprefix("method.") in known:
            hint = f"write {path.removeprefix('method.')}: paths start below `method`"
        elif path == "name":
            hint = "one manifest runs one method; a second one can extend it"
        else:
            hint = did_you_mean(path, [*known, "zip", "exclude"]) or keys_hint(path, known)
        report.add(where, f"{shorten(path)!r} is no setting of the method, expected the path of one", hint, key=True)
        return None
    for other in seen:
        if path == other:
            report.add(where, f"{path!r} is an axis twice", "keep one of them", key=True)
            return None
        if path.startswith(f"{other}.") or other.startswith(f"{path}."):
            report.add(
                where, f"the axes {other!r} and {path!r} set the same block", "list whole blocks in one axis", key=True
            )
            return None
    seen[path] = where
    if isinstance(raw, list):
        return _listed(path, raw, where, report)
    values = _generated(raw, where, report) if isinstance(raw, dict) else None
    if values is None and not isinstance(raw, dict):
        hint = f"write [{number(raw)}], or set it under `method`" if isinstance(raw, int | float) else "e.g. [10, 100]"
        report.add(where, f"found {describe(raw)}, expected a list of values or a range", hint)
    return Axis(path, values, where, listed=False) if values else None


def _listed(path: str, raw: list[Any], where: Path, report: Reporter) -> Axis | None:
    if not raw:
        report.add(where, f"the axis {path!r} is empty, expected at least one value", "remove it, or give it values")
        return None
    first: dict[str, int] = {}
    for index, value in enumerate(raw):
        token = _token(value)
        if token in first:
            report.add(
                (*where, index),
                f"{describe(value)} stands twice in the axis {path!r}",
                f"first at item {first[token] + 1}",
            )
        first.setdefault(token, index)
    return Axis(path, tuple(raw), where, listed=True)


def _token(value: Any) -> str:
    """Return a text that equal values share: 1 and 1.0 do, 1 and true do not, key order is nothing."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{_token(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_token, value)) + "]"
    return repr(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else repr(value)


def _generated(raw: dict[str, Any], where: Path, report: Reporter) -> tuple[Any, ...] | None:
    """Return the values of {from, to, num, scale} or {count, first}."""
    if not raw.keys() & (_RANGE | _COUNT):
        hint = "a range is {from: 1, to: 100, num: 5, scale: log}, seeds are {count: 4}; list whole blocks in [...]"
        report.add(where, f"found {describe(raw)}, expected a list of values or a range", hint)
        return None
    counted = "count" in raw or ("first" in raw and not raw.keys() & _RANGE)
    allowed = _COUNT if counted else _RANGE
    before = len(report.problems)
    for key in raw.keys() - allowed:
        report.add((*where, key), f"unknown key {shorten(key)!r}", keys_hint(key, allowed), key=True)
    if counted:
        count = _whole(raw, "count", where, report, 1)
        first = _whole(raw, "first", where, report, 0) if "first" in raw else 0
        return tuple(range(first, first + count)) if len(report.problems) == before else None
    low, high = _number(raw, "from", where, report), _number(raw, "to", where, report)
    num = _whole(raw, "num", where, report, 2)
    scale = raw.get("scale", "linear")
    if scale not in ("linear", "log"):
        hint = did_you_mean(scale, ["linear", "log"]) if isinstance(scale, str) else ""
        report.add((*where, "scale"), f"found {describe(scale)}, expected linear or log", hint)
    elif scale == "log" and (low <= 0 or high <= 0) and len(report.problems) == before:
        at = (*where, "from" if low <= 0 else "to")
        report.add(at, f"found {number(min(low, high))} on a log scale, expected more than 0", "use scale: linear")
    if low >= high and len(report.problems) == before:
        hint = f"write from: {number(high)}, to: {number(low)}" if low > high else "a range needs two ends"
        report.add((*where, "from"), f"the range goes from {number(low)} to {number(high)}, expected from < to", hint)
    if len(report.problems) > before:
        return None
    return tuple(_spaced(low, high, num, i, log=scale == "log") for i in range(num))


def _spaced(low: float, high: float, num: int, index: int, *, log: bool) -> float:
    """Return point `index` of a range: the ends exact, between them 12 significant digits, whole numbers as int."""
    if index in (0, num - 1):
        return low if index == 0 else high
    share = index / (num - 1)
    value = math.exp(math.log(low) + share * math.log(high / low)) if log else low + share * (high - low)
    value = float(f"{value:.12g}")
    return int(value) if value.is_integer() and isinstance(low, int) and isinstance(high, int) else value


def _number(raw: dict[str, Any], key: str, where: Path, report: Reporter) -> float:
    value = raw.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if key not in raw:
        report.add(where, f"the key {key!r} is missing", "a range is {from: 1, to: 100, num: 5, scale: log}")
    else:
        report.add((*where, key), f"found {describe(value)}, expected a finite number")
    return 1.0


def _whole(raw: dict[str, Any], key: str, where: Path, report: Reporter, least: int) -> int:
    value = raw.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= 2**31:
        if key == "first" or value <= MAX_VARIANTS:
            return value
        report.add((*where, key), f"found {value}, expected at most {MAX_VARIANTS}")
    elif key not in raw:
        report.add(where, f"the key {key!r} is missing", "a range is {from: 1, to: 100, num: 5}, seeds are {count: 4}")
    else:
        report.add((*where, key), f"found {describe(value)}, expected a whole number, at least {least}")
    return least
