"""The points of a sweep over the settings of one method, or of several, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic

from nst.manifest.named import Config

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Sequence

    from nst.config.effects import NoEffect
    from nst.config.fields import Needs
    from nst.config.method import Method
    from nst.manifest.points import Rule, Sweep
    from nst.yaml.positions import Path


@dataclass(frozen=True, eq=False)
class Variants(Generic[Config]):
    """Every point of the axes of a manifest, in the order of its axes, the last one fastest.

    Attributes:
        sweep: The axes and rules.
        settings: Per variant, the key of its settings (`nst.identity.settings_key`).
        effective: The same without the settings that have no effect: variants with equal keys make equal pictures.
        no_effect: Per variant, the rules by which settings of the axes have no effect.
        structure: Per variant, the number of its structure: variants of one structure may share a batch.
        first: Per structure, its first variant.
        config: Returns the validated settings of a variant.
        paths: Per structure, where its method is in the manifest.
    """

    sweep: Sweep
    settings: list[bytes]
    effective: list[bytes]
    no_effect: list[tuple[NoEffect, ...]]
    structure: array[int]
    first: list[int]
    config: Callable[[int], Config]
    paths: list[Path]

    def __len__(self) -> int:
        return len(self.settings)

    @cached_property
    def needs(self: Variants[Method]) -> list[Needs]:
        """Per structure, the images that its cells are made from."""
        return [self.config(first).needs for first in self.first]

    def distinct_needs(self: Variants[Method]) -> tuple[list[Needs], list[int]]:
        """Return the distinct values of `needs`, and for each variant the number of the value that it has."""
        distinct = list(dict.fromkeys(self.needs))
        of_structure = [distinct.index(needs) for needs in self.needs]
        return distinct, [of_structure[number] for number in self.structure]

    def matching(self, rule: Rule) -> list[int]:
        """Return the variants that a rule of the sweep matches."""
        return self.sweep.matching(rule)

    def difference(self, variant: int, other: int) -> str:
        """Return in words why two variants that differ in settings without effect make the same picture."""
        values, others = self.values(variant), self.values(other)
        differing = [path for path, value in values.items() if others.get(path, value) != value]
        rules = [rule for rule in self.no_effect[variant] if any(rule.concerns(path) for path in differing)]
        plain = [path for path in differing if not any(rule.concerns(path) for rule in rules)]
        return "; ".join([*map(str, rules), *(f"{path} has no effect on pixels" for path in plain)])

    def values(self, variant: int) -> dict[str, Any]:
        """Return what the axes set in a variant, by dotted path."""
        indices = unravel(variant, self.sweep.lengths)
        return {
            axis.setting: axis.values[index]
            for dimension, index in zip(self.sweep.dimensions, indices, strict=True)
            for axis in dimension
        }


def unravel(number: int, lengths: Sequence[int]) -> tuple[int, ...]:
    """Return the index along each dimension of point `number`, the last dimension being the fastest."""
    indices = []
    for length in reversed(lengths):
        number, index = divmod(number, length)
        indices.append(index)
    return tuple(reversed(indices))
