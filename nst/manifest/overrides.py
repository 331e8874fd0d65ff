"""Changes to a manifest that are given beside it, as on a command line: `method.size=256 sweep.seed='[1, 2]'`.

A change is laid over the manifest as a manifest is laid over the one that it extends: blocks are merged, everything
else is replaced, and `null` drops what the manifest says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.errors import ManifestError
from nst.yaml.positions import Document, Layer, Span, Where, merge
from nst.yaml.problems import Fault, describe
from nst.yaml.text import check_characters, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.errors import Problem

COMMAND_LINE: Final = "<command line>"
"""What messages call the changes, in place of a file's name; the line is the number of the change."""

_NAMED: Final = frozenset({"method", "training"})
"""Keys whose blocks, and the blocks in them, may be written as a bare name."""

_MOST_KEYS: Final = 20
"""Keys of a dotted path, far more than any block of a manifest is deep."""


def with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """Return a document with changes laid over it; of several changes of one key the last one counts.

    Args:
        document: The manifest.
        overrides: `key=value` each: a dotted path and a value in YAML. Behind `sweep.` comes an axis, whose name may
            have dots.

    Raises:
        ManifestError: With the problems of every change that cannot be read.
    """
    problems: list[Problem] = []
    if any(len(override.splitlines()) > 1 for override in overrides):
        raise ManifestError((Layer(COMMAND_LINE).problem(Span(1, 1, 2), Fault((), "a change has a line break")),))
    check_characters("\n".join(overrides), COMMAND_LINE)
    for number, override in enumerate(overrides, start=1):
        try:
            document = merge(document, _read(document.value, Layer(COMMAND_LINE, tuple(overrides)), number, override))
        except ManifestError as error:
            problems += error.problems
    if problems:
        raise ManifestError(tuple(problems))
    return document


def _read(manifest: Any, layer: Layer, number: int, override: str) -> Document:
    """Return one change as a document, whose positions are those in its text."""
    written, equals, value = override.partition("=")
    if not equals or not all(written.split(".")):
        _refuse(layer, Span(number, 1, len(override) + 1), f"found {describe(override)}, expected key=value")
    if written.split(".")[0] == "extends":
        _refuse(layer, Span(number, 1, len(written) + 1), "'extends' stands in the manifest itself")
    path = _path(written)
    if len(path) > _MOST_KEYS:
        _refuse(layer, Span(number, 1, len(written) + 1), f"found {len(path):,} keys, expected at most {_MOST_KEYS}")
    _place_keys(manifest, path, layer, number)
    # The value is read where it stands in the argument, so that its columns are those of the argument.
    start = len(written) + 2
    try:
        read = load(" " * (start - 1) + value, COMMAND_LINE)
    except ManifestError as error:
        raise ManifestError(tuple(_moved(problem, layer, number) for problem in error.problems)) from None
    own = read.positions.layers[0]
    layer.values[path] = Span(number, start, len(override) + 1)
    layer.values.update({(*path, *inner): _on_line(span, number) for inner, span in own.values.items()})
    layer.keys.update({(*path, *inner): _on_line(span, number) for inner, span in own.keys.items()})
    layer.aliases.update({(*path, *inner): (*path, *target) for inner, target in own.aliases.items()})
    changed = read.value
    for key in reversed(path):
        changed = {key: changed}
    return Document(changed, Where((layer,)), tuple(_moved(problem, layer, number) for problem in read.problems))


def _path(written: str) -> tuple[str, ...]:
    """Return the keys of a dotted path; the name of an axis is one key."""
    first, dot, rest = written.partition(".")
    return (first, rest) if first == "sweep" and dot else tuple(written.split("."))


def _place_keys(manifest: Any, path: tuple[str, ...], layer: Layer, number: int) -> None:
    """Note where the keys of a path stand, of those that the manifest has only the last one.

    Raises:
        ManifestError: The path leads into something that is no block.
    """
    block, column = manifest, 1
    for depth, key in enumerate(path):
        span = Span(number, column, column + len(key))
        if not isinstance(block, dict) and block is not None and not (isinstance(block, str) and path[0] in _NAMED):
            name = ".".join(path[:depth])
            _refuse(layer, span, f"{name!r} is {describe(block)}, no block", f"replace the whole of it: {name}=...")
        known = isinstance(block, dict) and key in block
        if not known or depth == len(path) - 1:
            layer.keys[path[: depth + 1]] = span
        block = block[key] if known else None
        column += len(key) + 1


def _refuse(layer: Layer, span: Span, message: str, hint: str = "") -> None:
    raise ManifestError((layer.problem(span, Fault((), message, hint or "e.g. method.size=256 sweep.seed='[1, 2]'")),))


def _on_line(span: Span, number: int) -> Span:
    return Span(number, span.column, span.end_column)


def _moved(problem: Problem, layer: Layer, number: int) -> Problem:
    """Return a problem of a value that was read by itself as one of the change with this number."""
    fault = Fault((), problem.message, problem.hint, kind=problem.kind, meant=problem.meant)
    return layer.problem(Span(number, problem.column, problem.column + 1), fault)
