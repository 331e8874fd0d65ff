"""`precision: auto` in a manifest: the fastest arithmetic of the machine that plans, which then is what is declared.

It is resolved as the manifest is read, before anything is checked: plans, ids and rows know the arithmetic itself, so
that all who take part in a sweep compute in the same way, whatever machine they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nst.config.fields import Precision

AUTO: Final = "auto"

_SETTING: Final = "precision"


def asks_for_fastest(raw: Any) -> bool:
    """Return whether a manifest says `precision: auto` anywhere.

    Example:
        >>> asks_for_fastest({"method": "gatys", "sweep": {"precision": ["float32", "auto"]}})
        True
    """
    return raw != with_fastest(raw, "float64") if isinstance(raw, dict) else False


def with_fastest(raw: Any, precision: Precision) -> Any:
    """Return a manifest with every `precision: auto` replaced, those of axes too (`sweep: {precision: [auto]}`).

    Args:
        raw: The manifest, or a part of it, as written.
        precision: What `auto` stands for.

    Example:
        >>> with_fastest({"method": {"name": "gatys", "precision": "auto"}}, "bfloat16")
        {'method': {'name': 'gatys', 'precision': 'bfloat16'}}
    """
    if isinstance(raw, list):
        return [with_fastest(item, precision) for item in raw]
    if not isinstance(raw, dict):
        return raw
    return {
        key: _resolved(value, precision)
        if isinstance(key, str) and key.rpartition(".")[2] == _SETTING
        else with_fastest(value, precision)
        for key, value in raw.items()
    }


def _resolved(value: Any, precision: Precision) -> Any:
    """Return the value of the setting, or the values of its axis, with `auto` replaced."""
    if isinstance(value, list):
        return [_resolved(item, precision) for item in value]
    return precision if value == AUTO else with_fastest(value, precision)
