"""The dimensions of a sweep in groups: those of one group must be validated together, groups need not be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from nst.config.block import Settings
    from nst.manifest.points import Sweep

Indices = tuple[int, ...]
"""An index along each of some dimensions."""


@dataclass(frozen=True, slots=True)
class Group:
    """Dimensions that are validated together, and the top-level settings that they touch."""

    dimensions: tuple[int, ...]
    fields: frozenset[str]

    def points(self, sweep: Sweep) -> Iterator[Indices]:
        """Yield every combination of indices along its dimensions."""
        return itertools.product(*(range(sweep.lengths[number]) for number in self.dimensions))


def group_dimensions(settings: type[Settings], sweep: Sweep, *, whole: bool) -> list[Group]:
    """Return the dimensions of a sweep in groups.

    Dimensions whose axes touch the same top-level setting share a group. If a validator ties settings to each other,
    there is one group of all.

    Args:
        settings: What the axes belong to.
        sweep: The axes.
        whole: Make one group of all in any case.
    """
    tied = set(settings.__pydantic_decorators__.model_validators) - settings.INDEPENDENT_VALIDATORS
    if sweep.dimensions and (whole or tied):
        return [Group(tuple(range(len(sweep.dimensions))), frozenset(settings.model_fields))]
    groups: list[Group] = []
    for number, dimension in enumerate(sweep.dimensions):
        fields = frozenset(axis.keys[0] for axis in dimension)
        touching = [group for group in groups if group.fields & fields]
        groups = [group for group in groups if group not in touching]
        groups.append(joined([*touching, Group((number,), fields)]))
    return groups


def joined(groups: Iterable[Group]) -> Group:
    """Return the group of all dimensions of some groups."""
    dimensions: list[int] = []
    fields: frozenset[str] = frozenset()
    for group in groups:
        dimensions += group.dimensions
        fields |= group.fields
    return Group(tuple(sorted(dimensions)), fields)
