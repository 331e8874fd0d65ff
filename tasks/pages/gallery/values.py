"""Values of the catalog as the page's JSON holds them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN: Final = frozenset({bool, int, float})
"""Types that JSON knows."""


def coded(values: Sequence[Any]) -> dict[str, Any]:
    """Return the distinct values and their index per cell; numbers ascending, other values as they appear, "" last."""
    distinct = list(dict.fromkeys(values))
    if all(isinstance(v, int | float) for v in distinct if v is not None):
        distinct.sort(key=lambda v: (v is not None, v or 0))
    else:
        distinct.sort(key=lambda v: v == "")  # cells without a content or style come after those that have both
    place = {value: i for i, value in enumerate(distinct)}
    return {"values": distinct, "index": [place[value] for value in values]}


def preview_steps(row: Mapping[str, Any]) -> list[int]:
    """Return the steps after which a row of `results` has previews, in order."""
    text = plain(row.get("preview_steps"))
    return [step for step in from_json(text) if isinstance(step, int)] if text else []


def plain(value: Any, kind: str = "string") -> Any:
    """Return a value of the catalog for JSON: None for NaN and pandas' nulls, integers also where pandas has floats."""
    if value is None or type(value) is str:  # most values are
        return value
    if type(value) not in _PLAIN and type(value).__name__ in {"NAType", "NaTType"}:
        return None
    value = value if type(value) in _PLAIN else value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if kind == "int64" and isinstance(value, float):
        return int(value)
    return value if isinstance(value, bool | int | float | str) else str(value)
