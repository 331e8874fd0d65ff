"""Where every key and value of a manifest stands, also when the manifest extends others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from nst.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Path = tuple[str | int, ...]
"""Keys and indices from the top of the document to a node."""

MAX_SOURCE: Final = 240
"""Longer lines are left out of messages: a hostile one-line file would be repeated with every problem."""


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
        aliases: A path that is an alias or came through a merge key, and the path at which it was written.
    """

    file: str
    lines: tuple[str, ...] = ()
    values: dict[Path, Span] = field(default_factory=dict)
    keys: dict[Path, Span] = field(default_factory=dict)
    aliases: dict[Path, Path] = field(default_factory=dict)

    def written_at(self, path: Path) -> Path:
        """Return the path at which the node of `path` was really written, aliases followed."""
        for _ in range(64):  # an alias may lead into another; anchors cannot form a circle
            for end in range(1, len(path) + 1):
                if path[:end] in self.aliases and path[:end] not in self.values:
                    path = self.aliases[path[:end]] + path[end:]
                    break
            else:
                return path
        return path

    def problem(self, span: Span, message: str, hint: str = "") -> Problem:
        """Return a problem at `span`, with its source line unless that is very long."""
        text = self.lines[span.line - 1] if 0 < span.line <= len(self.lines) else ""
        source = text if len(text) <= MAX_SOURCE else ""
        return Problem(self.file, span.line, span.column, message, hint, source, span.end_column)


@dataclass(frozen=True, slots=True)
class Where:
    """Positions of a document: its own file first, then the files that it extends."""

    layers: tuple[Layer, ...]

    def over(self, base: Where) -> Where:
        """Return the positions of this document merged over `base`."""
        return Where(self.layers + base.layers)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """Return a problem at the value (or key) of `path`, or at its nearest ancestor that has a position."""
        layer, span = self._find(path, key=key)
        return layer.problem(span, message, hint)

    def _find(self, path: Path, *, key: bool) -> tuple[Layer, Span]:
        for end in range(len(path), -1, -1):
            for layer in self.layers:
                written = layer.written_at(path[:end])
                span = (layer.keys if key else layer.values).get(written)
                if span is None:
                    span = layer.keys.get(written) or layer.values.get(written)
                if span is not None and (end or not path or layer is self.layers[0]):
                    return layer, span
        return self.layers[0], Span(1, 1, 2)


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain values, and where they stand."""

    value: Any
    where: Where


def merge(base: Document, ours: Document) -> Document:
    """Return `ours` laid over `base`: mappings merge deeply, everything else is replaced.

    A block with another `name` replaces the base's block whole, an axis of `sweep` replaces the base's axis whole,
    and `null` drops what the base says.
    """
    return Document(_merge(base.value, ours.value, ()), ours.where.over(base.where))


def _merge(base: Any, ours: Any, path: Path) -> Any:
    if path and path[0] == "method" and isinstance(base, str) and isinstance(ours, dict):
        base = {"name": base}  # a block written as its bare name
    if not (isinstance(base, dict) and isinstance(ours, dict)):
        return ours
    if path and "name" in ours and "name" in base and ours["name"] != base["name"]:
        return ours
    if path[:1] == ("sweep",) and len(path) > 1:
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
