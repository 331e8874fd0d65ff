"""Axis values that are generated: ranges {from, to, num, scale} and seeds {count, first}."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from nst.yaml.problems import describe, missing_key, not_one_of, number, unknown_key

if TYPE_CHECKING:
    from nst.yaml.positions import Path
    from nst.yaml.reporter import Reporter

MAX_VARIANTS: Final = 2_000_000
"""Points of the product of all axes, before exclusions; a sweep with more is refused whatever its budget."""

MAX_VALUES: Final = 100_000
"""Values of one generated axis."""

_RANGE: Final = frozenset({"from", "to", "num", "scale"})
_COUNT: Final = frozenset({"count", "first"})
_RANGE_EXAMPLE: Final = "a range is {from: 1, to: 100, num: 5, scale: log}"
_COUNT_EXAMPLE: Final = "seeds are {count: 4}"


def generated(raw: dict[str, Any], path: Path, report: Reporter) -> tuple[Any, ...] | None:
    """Return the values of {from, to, num, scale} or {count, first} at `path`, None after reporting a fault."""
    if not raw.keys() & (_RANGE | _COUNT):
        hint = f"{_RANGE_EXAMPLE}, {_COUNT_EXAMPLE}; whole blocks are the items of a list: [{{...}}, {{...}}]"
        report.add(path, f"found {describe(raw)}, expected a list of values or a range", hint)
        return None
    counted = "count" in raw or ("first" in raw and not raw.keys() & _RANGE)
    allowed = _COUNT if counted else _RANGE
    before = len(report.problems)
    for key in raw.keys() - allowed:
        report.add_fault(unknown_key((*path, key), allowed))
    values = (_counted if counted else _ranged)(raw, path, report)
    return values if len(report.problems) == before else None


def _counted(raw: dict[str, Any], path: Path, report: Reporter) -> tuple[int, ...]:
    count = _whole(raw, "count", path, report, least=1)
    first = _whole(raw, "first", path, report, least=0) if "first" in raw else 0
    return tuple(range(first, first + count))


def _ranged(raw: dict[str, Any], path: Path, report: Reporter) -> tuple[float, ...]:
    before = len(report.problems)
    low, high = _number(raw, "from", path, report), _number(raw, "to", path, report)
    num = _whole(raw, "num", path, report, least=2)
    scale = raw.get("scale", "linear")
    if scale not in ("linear", "log"):
        report.add_fault(not_one_of((*path, "scale"), scale, ["linear", "log"]))
    if len(report.problems) > before:
        return ()
    if scale == "log" and (low <= 0 or high <= 0):
        at = (*path, "from" if low <= 0 else "to")
        report.add(at, f"found {number(min(low, high))} on a log scale, expected more than 0", "use scale: linear")
    elif low >= high:
        hint = f"write from: {number(high)}, to: {number(low)}" if low > high else "a range needs two ends"
        message = f"the range goes from {number(low)} to {number(high)}, expected `from` less than `to`"
        report.add((*path, "from"), message, hint)
    else:
        return tuple(_spaced(low, high, num, i, log=scale == "log") for i in range(num))
    return ()


def _spaced(low: float, high: float, num: int, index: int, *, log: bool) -> float:
    """Return point `index` of a range: the ends exact, between them 12 significant digits, whole numbers as int."""
    if index in (0, num - 1):
        return low if index == 0 else high
    share = index / (num - 1)
    value = math.exp(math.log(low) + share * math.log(high / low)) if log else low + share * (high - low)
    value = float(f"{value:.12g}")
    return int(value) if value.is_integer() and isinstance(low, int) and isinstance(high, int) else value


def _number(raw: dict[str, Any], key: str, path: Path, report: Reporter) -> float:
    value = raw.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    if key not in raw:
        report.add_fault(missing_key(path, key, _RANGE_EXAMPLE, key=False))
    else:
        report.add((*path, key), f"found {describe(value)}, expected a finite number")
    return 1.0


def _whole(raw: dict[str, Any], key: str, path: Path, report: Reporter, *, least: int) -> int:
    value = raw.get(key)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= 2**31:
        if key == "first" or value <= MAX_VALUES:
            return value
        report.add((*path, key), f"found {value}, expected at most {MAX_VALUES}")
    elif key not in raw:
        example = _RANGE_EXAMPLE if key == "num" else f"{_RANGE_EXAMPLE}, {_COUNT_EXAMPLE}"
        report.add_fault(missing_key(path, key, example, key=False))
    else:
        report.add((*path, key), f"found {describe(value)}, expected a whole number, at least {least}")
    return least
