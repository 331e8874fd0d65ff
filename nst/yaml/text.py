"""A safe YAML loader: plain values with the position of every key and value; every fault is a `Problem`.

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

from nst.errors import ManifestError, Problem
from nst.yaml.positions import Document, Layer, Path, Span, Where
from nst.yaml.scalars import ScalarError, resolve, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARACTERS: Final = 2_000_000
MAX_DEPTH: Final = 40
MAX_NODES: Final = 100_000
MAX_PROBLEMS: Final = 100

_NOT_YAML: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_new_parser: Final[Callable[[str], Any]] = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
"""libyaml's parser where PyYAML was built with it (eight times as fast); only events are ever taken from it."""


def load(text: str, file: str, problems: list[Problem] | None = None) -> Document:
    """Return the one document of `text`; an empty text is the value None.

    Args:
        text: YAML 1.2, core schema.
        file: What messages call it.
        problems: Receives the faults after which reading can go on (duplicate keys, tags, leading zeros); without it
            they are raised.

    Raises:
        ManifestError: The text is not YAML, or breaks a limit; nothing else is ever raised.
    """
    found: list[Problem] = []
    text = text.removeprefix("\ufeff")
    reader = _Reader(text, Layer(file, tuple(text.splitlines())), found)
    try:
        value = reader.document()
    except _FatalError as error:
        raise ManifestError((*found[:MAX_PROBLEMS], error.problem)) from None
    if problems is not None:
        problems.extend(found)
    elif found:
        raise ManifestError(tuple(found[:MAX_PROBLEMS]))
    return Document(value, Where((reader.layer,)))


class _FatalError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Reader:
    """One pass over the events of one text."""

    def __init__(self, text: str, layer: Layer, problems: list[Problem]) -> None:
        self.layer = layer
        self.text = text
        self.problems = problems
        self.parser: Any = None
        self.nodes = 0
        self.anchors: dict[str, tuple[Any, int, Path] | None] = {}  # None while the anchored node is being read

    def document(self) -> Any:
        self._check_text()
        try:
            self.parser = _new_parser(self.text)
            self.parser.get_event()
            if isinstance(self.parser.peek_event(), StreamEndEvent):
                return None
            self.parser.get_event()
            value, _ = self._node((), 0)
            while isinstance(event := self.parser.get_event(), DocumentEndEvent):
                pass
        except yaml.MarkedYAMLError as error:
            self._not_yaml(error)
        except (yaml.YAMLError, UnicodeError, RecursionError) as error:
            self._stop(Span(1, 1, 2), f"not YAML: {shorten(str(error).splitlines()[0])}")
        if not isinstance(event, StreamEndEvent):
            self._stop(self._span(event), "a second document starts here, expected one document per file")
        return value

    def _check_text(self) -> None:
        if len(self.text) > MAX_CHARACTERS:
            self._stop(Span(1, 1, 2), f"found {len(self.text)} characters, expected at most {MAX_CHARACTERS}")
        if odd := _NOT_YAML.search(self.text):
            before = self.text[: odd.start()].splitlines() or [""]
            line, column = len(before), len(before[-1]) + 1
            if odd.start() and self.text[odd.start() - 1] in "\n\r":
                line, column = line + 1, 1
            problem = Problem(
                self.layer.file, line, column, f"the character U+{ord(odd[0]):04X} is not allowed in YAML"
            )
            raise _FatalError(problem)

    def _node(self, path: Path, depth: int) -> tuple[Any, int]:
        """Return the next node and how many nodes it holds with all aliases expanded."""
        event = self.parser.get_event()
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
            self.anchors[event.anchor] = None
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
            self.anchors[event.anchor] = (value, size, path)
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
        while not isinstance(self.parser.peek_event(), SequenceEndEvent):
            value, nodes = self._node((*path, len(values)), depth + 1)
            values.append(value)
            size += nodes
        self.parser.get_event()
        return values, size

    def _mapping(self, path: Path, depth: int) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        size = 1
        merges: list[tuple[Any, Path, Any]] = []
        while not isinstance(self.parser.peek_event(), MappingEndEvent):
            event = self.parser.get_event()
            self._count(1, event)
            if not isinstance(event, ScalarEvent):
                self._stop(self._span(event), "found a list, mapping or alias as a key, expected plain text")
            key = event.value
            at: Path = (*path, key)
            if key in lines:
                self._report(event, f"duplicate key {shorten(key)!r}", f"first defined on line {lines[key]}")
                at = (*path, f"{key} (again)")
            else:
                self.layer.keys[at] = self._span(event)
            if event.tag is not None:
                self._report(event, f"found the tag {shorten(event.tag)!r}, expected plain YAML", "remove the tag")
            value, nodes = self._node(at, depth + 1)
            size += nodes
            if key == "<<" and event.implicit[0] and key not in lines:
                merges.append((value, at, event))
            elif key not in lines:
                values[key] = value
            lines.setdefault(key, self._span(event).line)
        self.parser.get_event()
        for value, at, event in merges:
            self._merge(values, path, value, at, event)
        return values, size

    def _merge(self, values: dict[str, Any], path: Path, merged: Any, at: Path, event: Any) -> None:
        sources = list(enumerate(merged)) if isinstance(merged, list) else [(-1, merged)]
        for index, source in sources:
            if not isinstance(source, dict):
                self._report(event, "<< needs a mapping or a list of mappings", "e.g. <<: *defaults")
                continue
            self._count(len(source), event)
            written = self.layer.written_at(at if index < 0 else (*at, index))
            for key, value in source.items():
                if key not in values:
                    values[key] = value
                    self.layer.aliases[*path, key] = (*written, key)

    def _alias(self, event: Any, path: Path) -> tuple[Any, int]:
        name = shorten(event.anchor)
        if event.anchor not in self.anchors:
            self._stop(self._span(event), f"found the alias *{name}, but no anchor &{name} stands before it")
        target = self.anchors[event.anchor]
        if target is None:
            self._stop(self._span(event), f"the anchor &{name} contains itself")
        value, size, written = target
        self._count(size, event)
        self.layer.aliases[path] = written
        return value, size

    def _count(self, nodes: int, event: Any) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            self._stop(self._span(event), f"more than {MAX_NODES} nodes with all aliases expanded")

    def _span(self, event: Any) -> Span:
        start, end = event.start_mark, event.end_mark
        line, column = start.line + 1, start.column + 1
        width = len(self.layer.lines[line - 1]) if line <= len(self.layer.lines) else 0
        if isinstance(event, SequenceStartEvent | MappingStartEvent) and not event.flow_style:
            return Span(line, column, column + 1)
        return Span(line, column, max(column + 1, end.column + 1 if end.line == start.line else width + 1))

    def _report(self, event: Any, message: str, hint: str = "") -> None:
        self.problems.append(self.layer.problem(self._span(event), message, hint))
        if len(self.problems) >= MAX_PROBLEMS:
            self._stop(self._span(event), "too many problems, the rest of the file was not read")

    def _stop(self, span: Span, message: str, hint: str = "") -> NoReturn:
        raise _FatalError(self.layer.problem(span, message, hint))

    def _not_yaml(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark: Any = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = f"not YAML: {shorten(str(error.problem or error.context), 120)}"
        if error.context and error.problem:
            message += f" {shorten(str(error.context), 120)}"
        source = self.layer.lines[line - 1] if line <= len(self.layer.lines) else ""
        hint = ""
        if "\t" in source[: column + 1] and "token" in message:
            hint = "indent with spaces: YAML does not allow tabs there"
        elif "mapping values are not allowed" in message:
            hint = "quote a text that contains ': ', and check the indentation"
        self._stop(Span(line, column, column + 1), message, hint)
