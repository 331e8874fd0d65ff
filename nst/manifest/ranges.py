"""Axis values that are generated: ranges {from, to, num, scale} and seeds {count, first}."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from nst.yaml.problems import describe, did_you_mean, keys_hint, number
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from nst.yaml.positions import Path
    from nst.yaml.problems import Reporter

MAX_VARIANTS: Final = 2_000_000
"""Points of the product of all axes, before exclusions; a sweep beyond is refused whatever its budget."""

MAX_VALUES: Final = 100_000
"""Values of one generated axis."""

_RANGE: Final = frozenset({"from", "to", "num", "scale"})
_COUNT: Final = frozenset({"count", "first"})


def generated(raw: dict[str, Any], where: Path, report: Reporter) -> tuple[Any, ...] | None:
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
        if key == "first" or value <= MAX_VALUES:
            return value
        report.add((*where, key), f"found {value}, expected at most {MAX_VALUES}")
    elif key not in raw:
        report.add(where, f"the key {key!r} is missing", "a range is {from: 1, to: 100, num: 5}, seeds are {count: 4}")
    else:
        report.add((*where, key), f"found {describe(value)}, expected a whole number, at least {least}")
    return least
