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
        setting: The setting by its dotted path below `method`, such as `optimizer.history`.
        values: As written or generated, not yet validated.
        path: Where the axis is in the manifest.
        listed: Whether the values are a list in the manifest, so that each has its own position.
    """

    setting: str
    values: tuple[Any, ...]
    path: Path
    listed: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The parts of the dotted path."""
        return tuple(self.setting.split("."))

    def path_of(self, index: int) -> Path:
        """Return where value `index` is written."""
        return (*self.path, index) if self.listed else self.path


Dimension = tuple[Axis, ...]
"""Axes that advance together: one by default, several in `zip`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Leaves out the points that match everything that it names.

    Attributes:
        dimensions: For each dimension that it names, by number, the indices that match; all indices of the others do.
        settings: The settings whose axes it names.
        content: Patterns of content names, None for any content. style, method: The same for styles and methods.
        path: Where the rule is in the manifest.
    """

    dimensions: dict[int, frozenset[int]]
    settings: frozenset[str]
    content: tuple[str, ...] | None
    style: tuple[str, ...] | None
    method: tuple[str, ...] | None
    path: Path

    def may_match(self, method: str) -> bool:
        """Return whether the patterns of method names, if there are any, match this method."""
        return self.method is None or any(fnmatchcase(method, pattern) for pattern in self.method)

    @property
    def inputs(self) -> frozenset[str]:
        """Which of `content` and `style` the rule names."""
        given = {"content": self.content, "style": self.style}
        return frozenset(kind for kind, patterns in given.items() if patterns is not None)

    def matching_inputs(self, kind: str, names: Sequence[str]) -> list[int]:
        """Return the indices of the names that match.

        Args:
            kind: `content` or `style`.
            names: The names of all contents or styles.
        """
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
        """Number of points along each dimension."""
        return tuple(len(dimension[0].values) for dimension in self.dimensions)

    def of_method(self, name: str, settings: AbstractSet[str]) -> Sweep:
        """Return the part of the sweep that concerns one of several methods.

        Of zipped axes those remain whose settings the method has. A rule that names the axis of another setting
        matches no point of the method.

        Args:
            name: Name of the method.
            settings: The settings that it has, by their dotted paths.
        """
        own = [tuple(axis for axis in dimension if axis.setting in settings) for dimension in self.dimensions]
        kept = [number for number, axes in enumerate(own) if axes]
        rules = tuple(
            replace(rule, dimensions={kept.index(number): indices for number, indices in rule.dimensions.items()})
            for rule in self.rules
            if rule.settings <= settings and rule.may_match(name)
        )
        return Sweep(tuple(own[number] for number in kept), rules)

    def excluded(self) -> bytearray:
        """Return for each point 1 if rules leave it out for every content and style, else 0."""
        mask = bytearray(math.prod(self.lengths))
        for rule in self.rules:
            if not rule.inputs:
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
