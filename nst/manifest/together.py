"""The variants of several methods as one column: one method after the other, each under the axes of its settings."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from nst.config.method import Method
from nst.manifest.variants import Variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.manifest.points import Rule, Sweep


@dataclass(frozen=True, eq=False)
class VariantsTogether(Variants[Method]):
    """Variants of several methods; `sweep` has the axes and rules of all methods.

    Attributes:
        parts: The variants of each method.
        starts: For each method, the number of its first variant.
    """

    parts: tuple[Variants[Method], ...]
    starts: tuple[int, ...]

    def values(self, variant: int) -> dict[str, Any]:
        """Return what the axes set in a variant, by dotted path."""
        part = bisect_right(self.starts, variant) - 1
        return self.parts[part].values(variant - self.starts[part])

    def matching(self, rule: Rule) -> list[int]:
        """Return the variants that a rule of the whole sweep matches."""
        return [
            start + variant
            for start, part in zip(self.starts, self.parts, strict=True)
            for own in part.sweep.rules
            if own.path == rule.path
            for variant in part.matching(own)
        ]


def together(parts: Sequence[Variants[Method]], sweep: Sweep) -> Variants[Method]:
    """Return the variants of all methods as one column.

    Structures stay apart, so that no batch mixes methods.

    Args:
        parts: The variants of each method.
        sweep: The axes and rules of all methods.
    """
    if len(parts) == 1:
        return parts[0]
    starts = tuple(accumulate((len(part) for part in parts[:-1]), initial=0))
    structures = tuple(accumulate((len(part.first) for part in parts[:-1]), initial=0))
    placed = list(zip(parts, starts, structures, strict=True))

    def config(variant: int) -> Method:
        part = bisect_right(starts, variant) - 1
        return parts[part].config(variant - starts[part])

    return VariantsTogether(
        sweep=sweep,
        settings=[settings for part in parts for settings in part.settings],
        effective=[settings for part in parts for settings in part.effective],
        no_effect=[rules for part in parts for rules in part.no_effect],
        structure=array("L", (offset + number for part, _, offset in placed for number in part.structure)),
        first=[start + variant for part, start, _ in placed for variant in part.first],
        config=config,
        paths=[path for part in parts for path in part.paths],
        parts=tuple(parts),
        starts=starts,
    )
