"""Where every key and value of a manifest stands, also when the manifest extends others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nst.errors import Problem
from nst.yaml.problems import Fault, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""Keys and indices from the top of the document to a node."""

_LONGEST_EXCERPT: Final = 240
"""Longer lines are left out of messages: a hostile file of one line would be repeated with every problem."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one line: 1-based line and columns, the end exclusive."""

    line: int
    column: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Layer:
    """The positions of one file.

    Attributes:
        file: As the user named it.
        lines: Its text.
        values: The span of every value. keys: The span of every mapping key.
        aliases: For each path that is an alias or came through a merge key, the path at which it was written.
    """

    file: str
    lines: tuple[str, ...] = ()
    values: dict[Path, Span] = field(default_factory=dict)
    keys: dict[Path, Span] = field(default_factory=dict)
    aliases: dict[Path, Path] = field(default_factory=dict)

    def written_at(self, path: Path) -> Path:
        """Return the path at which the node of `path` is written, aliases followed."""
        for _ in range(64):  # an alias may lead to another; anchors cannot form a circle
            for end in range(1, len(path) + 1):
                if path[:end] in self.aliases and path[:end] not in self.values:
                    path = self.aliases[path[:end]] + path[end:]
                    break
            else:
                return path
        return path

    def problem(self, span: Span, fault: Fault) -> Problem:
        """Return a fault as a problem at `span`, with its line unless that is very long."""
        source = self.lines[span.line - 1] if 0 < span.line <= len(self.lines) else ""
        shown = excerpt(source, span.line, span.column, span.end_column) if 0 < len(source) <= _LONGEST_EXCERPT else ""
        return Problem(self.file, span.line, span.column, fault.message, fault.hint, shown, fault.kind, fault.meant)


@dataclass(frozen=True, slots=True)
class Where:
    """The positions of a document: those of its own file first, then those of the files that it extends."""

    layers: tuple[Layer, ...]

    def over(self, base: Where) -> Where:
        """Return the positions of this document merged over `base`."""
        return Where(self.layers + base.layers)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """Return a problem at the value (or key) of `path`, or at its nearest ancestor that has a position."""
        return self.locate(Fault(path, message, hint, key))

    def locate(self, fault: Fault) -> Problem:
        """Return a fault as a problem at its place, or at its nearest ancestor that has a position."""
        layer, span = self._find(fault.path, key=fault.key)
        return layer.problem(span, fault)

    def _find(self, path: Path, *, key: bool) -> tuple[Layer, Span]:
        for end in range(len(path), -1, -1):
            for layer in self.layers:
                for inner in (path[:end], _unlisted(path[:end])):
                    written = layer.written_at(inner)
                    span = (layer.keys if key else layer.values).get(written)
                    if span is None:
                        span = layer.keys.get(written) or layer.values.get(written)
                    if span is not None:
                        return layer, span
        return self.layers[0], Span(1, 1, 2)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain values.

    Attributes:
        value: The document.
        positions: Where its keys and values stand.
        problems: Faults after which reading could go on; the values there are guesses.
    """

    value: Any
    positions: Where
    problems: tuple[Problem, ...] = ()


def _unlisted(path: Path) -> Path:
    """Return the path to the same place where the first item of a list is written without the list."""
    return (path[0], *path[2:]) if path[1:2] == (0,) else path


def merge(base: Document, ours: Document) -> Document:
    """Return `ours` laid over `base`: mappings merge deeply, everything else is replaced.

    A block with another `name` replaces the whole block of the base, an axis of `sweep` replaces the whole axis of the
    base, and `null` drops what the base says.
    """
    value = _merge(base.value, ours.value, ())
    return Document(value, ours.positions.over(base.positions), (*ours.problems, *base.problems))


def is_merged(path: Path) -> bool:
    """Return whether a mapping at `path` is merged with that of a base; those in lists and axes are replaced whole."""
    in_axis = len(path) > 1 and path[0] == "sweep"
    return not in_axis and not any(isinstance(part, int) for part in path)


def _merge(base: Any, ours: Any, path: Path) -> Any:
    if path and path[0] in {"method", "training"} and isinstance(base, str) and isinstance(ours, dict):
        base = {"family" if path == ("training",) else "name": base}  # a block written as its bare name
    if not (isinstance(base, dict) and isinstance(ours, dict) and is_merged(path)):
        return ours
    if path and "name" in ours and "name" in base and ours["name"] != base["name"]:
        return ours
    return dict(_merged_items(base, ours, path))


def _merged_items(base: Mapping[str, Any], ours: Mapping[str, Any], path: Path) -> Iterator[tuple[str, Any]]:
    for key, value in base.items():
        if key not in ours:
            yield key, value
        elif ours[key] is not None:
            yield key, _merge(value, ours[key], (*path, key))
    for key, value in ours.items():
        if key not in base:
            yield key, value
