"""Settings that have no effect where others have certain values, stated beside the settings of each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Values = Mapping[str, Sequence[Any]]
"""Values of settings by their dotted paths."""


@dataclass(frozen=True, slots=True)
class NoEffect:
    """A setting that has no effect on the pixels, whatever its value is, while other settings have certain values.

    Cells that differ in such a setting alone are one cell (`nst.planning.cells.expand`).

    Attributes:
        setting: The setting, by its dotted path below `method`, of one or two parts.
        when: The values that other settings must have; each setting may have one of several.
        unless: The values that other settings must not have.

    Example:
        >>> str(NoEffect("seed", {"noise": (0.0,)}, unless={"init": ("noise",)}))
        'seed has no effect with noise: 0, init other than noise'
        >>> str(NoEffect("size", unless={"width": (None,)}))
        'size has no effect with a given width'
    """

    setting: str
    when: Values = field(default_factory=dict)
    unless: Values = field(default_factory=dict)

    @property
    def field(self) -> str:
        """The top-level setting that `setting` is or belongs to."""
        return self.setting.partition(".")[0]

    @property
    def inner(self) -> str:
        """The name of `setting` within its block; "" for a top-level setting."""
        return self.setting.partition(".")[2]

    @property
    def reads(self) -> frozenset[str]:
        """The top-level settings that decide whether the setting has an effect."""
        return frozenset(path.partition(".")[0] for path in (*self.when, *self.unless))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the setting has no effect.

        Args:
            values: The validated values of at least the settings that `reads` names.
        """
        met = all(_value(values, path) in allowed for path, allowed in self.when.items())
        return met and not any(_value(values, path) in barred for path, barred in self.unless.items())

    def concerns(self, path: str) -> bool:
        """Return whether an axis over `path` sets the setting: by itself, or with the block that it belongs to."""
        return path in {self.setting, self.field}

    def __str__(self) -> str:
        parts = [f"{path}: {' or '.join(map(_text, allowed))}" for path, allowed in self.when.items()]
        for path, barred in self.unless.items():
            given = list(barred) == [None]
            parts.append(f"a given {path}" if given else f"{path} other than {' or '.join(map(_text, barred))}")
        return f"{self.setting} has no effect" + (f" with {', '.join(parts)}" if parts else "")


def _value(values: Mapping[str, Any], path: str) -> Any:
    """Return the value at a dotted path; None where the block has no such setting."""
    first, *inner = path.split(".")
    value = values[first]
    for key in inner:
        value = getattr(value, key, None)
    return value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
