"""The points of a sweep as data: axes, the dimensions that they advance along, and the rules that leave points out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from nst.yaml.positions import Path


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
class Rule:
    """Leaves out the points that match everything it names.

    Attributes:
        dimensions: Per named dimension (its number), the indices that match; the others match everywhere.
        axes: The paths of the axes that it names.
        content: Patterns of content names, None for all. style, method: The same for styles and methods.
        where: Path of the rule in the manifest.
    """

    dimensions: dict[int, frozenset[int]]
    axes: frozenset[str]
    content: tuple[str, ...] | None
    style: tuple[str, ...] | None
    method: tuple[str, ...] | None
    where: Path

    def may_match(self, method: str) -> bool:
        """Return whether the rule matches points of this method, as far as its name goes."""
        return self.method is None or any(fnmatchcase(method, pattern) for pattern in self.method)

    @property
    def named(self) -> frozenset[str]:
        """What it names of `content` and `style`."""
        given = {"content": self.content, "style": self.style}
        return frozenset(kind for kind, patterns in given.items() if patterns is not None)

    def inputs(self, kind: str, names: Sequence[str]) -> list[int]:
        """Return the indices of the names of `content` or `style` that match."""
        patterns = self.content if kind == "content" else self.style
        if patterns is None:
            return list(range(len(names)))
        return [i for i, name in enumerate(names) if any(fnmatchcase(name, pattern) for pattern in patterns)]


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

    def of(self, known: AbstractSet[str], method: str) -> Sweep:
        """Return the axes whose settings a method has, and the rules that may match its points.

        Of zipped axes those remain that it has; a rule that names an axis that it lacks matches nothing of it.
        """
        own = [tuple(axis for axis in dimension if axis.path in known) for dimension in self.dimensions]
        kept = {number: place for place, number in enumerate(number for number, axes in enumerate(own) if axes)}
        rules = tuple(
            replace(rule, dimensions={kept[number]: indices for number, indices in rule.dimensions.items()})
            for rule in self.rules
            if rule.axes <= known and rule.may_match(method)
        )
        return Sweep(tuple(axes for axes in own if axes), rules)

    def excluded(self) -> bytearray:
        """Return a mask of the points that rules leave out for every content and style."""
        mask = bytearray(math.prod(self.lengths))
        for rule in self.rules:
            if rule.content is None and rule.style is None:
                for point in self.matching(rule):
                    mask[point] = 1
        return mask

    def matching(self, rule: Rule) -> list[int]:
        """Return the numbers of the points that a rule matches."""
        found = [0]
        for dimension, length in enumerate(self.lengths):
            indices = sorted(rule.dimensions.get(dimension, range(length)))
            found = [start * length + index for start in found for index in indices]
        return found
