"""Reads the events of a YAML text into plain values.

It stands on PyYAML's event parser, never on its constructors: tags are refused, aliases bounded, duplicate keys
found, and the depth of nesting is counted here, so that no input can exhaust the stack (PyYAML's C composer can).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from nst.yaml.positions import Span
from nst.yaml.problems import MAX_PROBLEMS, Fault
from nst.yaml.scalars import ScalarError, resolve, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from nst.errors import Problem
    from nst.yaml.positions import Layer, Path

MAX_DEPTH: Final = 40
MAX_NODES: Final = 100_000

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_new_parser: Final[Callable[[str], Any]] = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
"""libyaml's parser where PyYAML was built with it (eight times as fast); only its events are used."""


class FatalError(Exception):
    """A fault after which the rest of the text cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Reader:
    """One pass over the events of one text.

    Attributes:
        layer: Receives the positions of keys and values.
        problems: The faults after which reading could go on.
    """

    def __init__(self, text: str, layer: Layer) -> None:
        self._text = text
        self.layer = layer
        self.problems: list[Problem] = []
        self._parser: Any = None
        self._nodes = 0
        self._anchors: dict[str, tuple[Any, int, Path] | None] = {}  # None while its node is being read

    def document(self) -> Any:
        """Return the one document of the text, None for an empty text.

        Raises:
            FatalError: The text is not YAML, or breaks a limit.
        """
        try:
            self._parser = _new_parser(self._text)
            self._parser.get_event()
            if isinstance(self._parser.peek_event(), StreamEndEvent):
                return None
            self._parser.get_event()
            value, _ = self._node((), 0)
            while isinstance(event := self._parser.get_event(), DocumentEndEvent):
                pass
        except yaml.MarkedYAMLError as error:
            self._not_yaml(error)
        except (yaml.YAMLError, UnicodeError, RecursionError) as error:
            self._stop(Span(1, 1, 2), f"not YAML: {shorten(str(error).splitlines()[0])}")
        if not isinstance(event, StreamEndEvent):
            self._stop(self._span(event), "a second document starts here, expected one document per file")
        return value

    def _node(self, path: Path, depth: int) -> tuple[Any, int]:
        """Return the next node and how many nodes it contains, itself included, with all aliases expanded."""
        event = self._parser.get_event()
        self._count(1, event)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        self.layer.values[path] = self._span(event)
        if depth > MAX_DEPTH:
            self._stop(self._span(event), f"nested deeper than {MAX_DEPTH} levels")
        tag = event.tag
        if tag is not None:
            self._report(event, f"found the tag {shorten(tag)!r}, expected plain YAML", "remove the tag")
        if event.anchor:
            self._anchors[event.anchor] = None
        value: Any
        if isinstance(event, ScalarEvent):
            value, size = self._scalar(event), 1
        elif isinstance(event, SequenceStartEvent):
            value, size = self._sequence(path, depth)
        elif isinstance(event, MappingStartEvent):
            value, size = self._mapping(path, depth)
        else:
            self._stop(self._span(event), "expected a value")
        if event.anchor:
            self._anchors[event.anchor] = (value, size, path)
        return value, size

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:
            if _SURROGATE.search(event.value):
                self._stop(self._span(event), "found half of a surrogate pair, expected whole characters")
            return event.value
        try:
            return resolve(event.value)
        except ScalarError as error:
            self._report(event, str(error), error.hint)
            return error.value

    def _sequence(self, path: Path, depth: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        size = 1
        while not isinstance(self._parser.peek_event(), SequenceEndEvent):
            value, nodes = self._node((*path, len(values)), depth + 1)
            values.append(value)
            size += nodes
        self._parser.get_event()
        return values, size

    def _mapping(self, path: Path, depth: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        size = 1
        merge: tuple[Any, ScalarEvent] | None = None
        while not isinstance(self._parser.peek_event(), MappingEndEvent):
            event = self._parser.get_event()
            self._count(1, event)
            if not isinstance(event, ScalarEvent):
                self._stop(self._span(event), "found a list, mapping or alias as a key, expected plain text")
            key, span = event.value, self._span(event)
            repeated = key in lines
            if repeated:
                self._report(event, f"duplicate key {shorten(key)!r}", f"first defined on line {lines[key]}")
            else:
                self.layer.keys[*path, key] = span
                lines[key] = span.line
            if event.tag is not None:
                self._report(event, f"found the tag {shorten(event.tag)!r}, expected plain YAML", "remove the tag")
            value, nodes = self._node((*path, f"{key} (again)" if repeated else key), depth + 1)
            size += nodes
            if repeated:
                continue
            if key == "<<" and event.implicit[0]:
                merge = value, event
            else:
                values[key] = value
        self._parser.get_event()
        if merge:
            self._merge(values, path, *merge)
        return values, size

    def _merge(self, values: dict[str, Any], path: Path, merged: Any, event: ScalarEvent) -> None:
        """Add what a merge key (`<<`) brings in; keys that the mapping has itself, or from an earlier source, win."""
        sources: list[tuple[Path, Any]] = [((*path, "<<"), merged)]
        if isinstance(merged, list):
            sources = [((*path, "<<", index), source) for index, source in enumerate(merged)]
        for at, source in sources:
            if not isinstance(source, dict):
                self._report(event, "<< needs a mapping or a list of mappings", "e.g. <<: *defaults")
                continue
            self._count(len(source), event)
            written = self.layer.written_at(at)
            for key, value in source.items():
                if key not in values:
                    values[key] = value
                    self.layer.aliases[*path, key] = (*written, key)

    def _alias(self, event: Any, path: Path) -> tuple[Any, int]:
        name = shorten(event.anchor)
        if event.anchor not in self._anchors:
            self._stop(self._span(event), f"found the alias *{name}, but no anchor &{name} stands before it")
        target = self._anchors[event.anchor]
        if target is None:
            self._stop(self._span(event), f"the anchor &{name} contains itself")
        value, size, written = target
        self._count(size, event)
        self.layer.aliases[path] = written
        return value, size

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(self._span(event), f"found more than {MAX_NODES} keys and values with all aliases expanded")

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        line, column = start.line + 1, start.column + 1
        width = len(self.layer.lines[line - 1]) if line <= len(self.layer.lines) else 0
        if isinstance(event, SequenceStartEvent | MappingStartEvent) and not event.flow_style:
            return Span(line, column, column + 1)
        return Span(line, column, max(column + 1, end.column + 1 if end.line == start.line else width + 1))

    def _report(self, event: Any, message: str, hint: str = "") -> None:
        self.problems.append(self.layer.problem(self._span(event), Fault((), message, hint)))
        if len(self.problems) >= MAX_PROBLEMS:
            self._stop(self._span(event), "too many problems, the rest of the file was not read")

    def _stop(self, span: Span, message: str, hint: str = "") -> NoReturn:
        raise FatalError(self.layer.problem(span, Fault((), message, hint)))

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark: Any = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem, context = (shorten(str(text), 120) if text else "" for text in (error.problem, error.context))
        source = self.layer.lines[line - 1] if line <= len(self.layer.lines) else ""
        # PyYAML's errors have no codes: what they are is told by their words alone.
        hint = ""
        if "\t" in source[: column + 1] and "token" in f"{problem} {context}":
            hint = "indent with spaces: YAML does not allow tabs there"
        elif "mapping values are not allowed" in problem:
            hint = "quote a text that contains ': ', and check the indentation"
        self._stop(Span(line, column, column + 1), f"not YAML: {problem} {context}".rstrip(), hint)
