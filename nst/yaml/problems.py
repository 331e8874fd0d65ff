"""What is wrong with a manifest: faults of its keys and values, and the words that describe them."""

from __future__ import annotations

import difflib
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from nst.yaml.scalars import old_yaml_hint, shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nst.errors import FaultKind
    from nst.yaml.positions import Path

MAX_PROBLEMS: Final = 100
"""Problems of one manifest that are reported."""

_MOST_LISTED: Final = 14
"""A hint lists the keys of a block if there are no more than this; for larger blocks it names the reference."""

_TYPES: Final[Mapping[type, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a value.

    Attributes:
        path: Where it is, below that value.
        message: What was found and what was expected.
        hint: What the user may do about it, or "".
        key: Whether the key at `path` is at fault and not its value.
        kind: What is wrong, for code to ask.
        meant: The key or word that was probably meant, "" if none comes near; of a missing key, its name.
    """

    path: Path
    message: str
    hint: str = ""
    key: bool = False
    kind: FaultKind = "other"
    meant: str = ""

    def below(self, path: Path) -> Fault:
        """Return the same fault of a value that contains this one at `path`."""
        return replace(self, path=(*path, *self.path))


def missing_key(block: Path, name: str, hint: str = "", *, key: bool = True) -> Fault:
    """Return the fault that the block at `block` lacks a key that it must have; `key` as in `Fault`."""
    return Fault(block, f"the key {name!r} is missing", hint, key=key, kind="missing", meant=name)


def unknown_key(path: Path, known: Iterable[str], *, message: str = "", hint: str = "") -> Fault:
    """Return the fault that a block has no key like the last one of `path`.

    Args:
        path: Where the key is.
        known: The keys that the block has.
        message: What is said of the key, by default that it is unknown.
        hint: What is said in place of the keys that the block has.
    """
    key = str(path[-1])
    names = sorted(known)
    meant = "" if hint else nearest(key, names)
    if not hint and not meant and names:
        listed = f"the keys here are {', '.join(names)}"
        hint = listed if len(names) <= _MOST_LISTED else "`nst schema --reference` lists the keys"
    message = message or f"unknown key {shorten(key)!r}"
    return Fault(path, message, hint or did_you_mean(meant), key=True, kind="unknown", meant=meant)


def not_one_of(path: Path, value: Any, options: Iterable[str], expected: str = "") -> Fault:
    """Return the fault that a value is none of the words to choose from, which `expected` describes if it is given."""
    names = list(options)
    meant = nearest(value, names) if isinstance(value, str) else ""
    message = f"found {describe(value)}, expected {expected or one_of(names)}"
    return Fault(path, message, did_you_mean(meant), kind="choice", meant=meant)


def wrong_type(path: Path, value: Any, expected: type) -> Fault:
    """Return the fault that a value is not of the type `expected`: bool, int, float, str, list or dict."""
    quoted = f"the text {describe(value)}" if isinstance(value, str) else describe(value)
    hint = old_yaml_hint(value, expected) if isinstance(value, str) else ""
    if expected is str and isinstance(value, bool | int | float):
        hint = "put it in quotes if it is a text"
    return Fault(path, f"found {quoted}, expected {_TYPES[expected]}", hint)


def excerpt(source: str, line: int, column: int, end_column: int) -> str:
    """Return a line of a manifest behind its number, and below it carets under a stretch of it.

    Args:
        source: The text of the line.
        line: Its number.
        column: 1-based column of the first caret.
        end_column: 1-based column after the last caret; there is always one caret.
    """
    gutter = f"{line} | "
    width = max(1, min(end_column, len(source) + 1) - column)
    return f"{gutter}{source}\n{' ' * (len(gutter) - 2)}| {' ' * (column - 1)}{'^' * width}"


def describe(value: Any) -> str:
    """Return a value as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, str):
        return shorten(json.dumps(value, ensure_ascii=False).replace('"', "'"))
    return number(value)


def number(value: float) -> str:
    """Return a number as a person writes it."""
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate that was probably meant by `word`, or ""."""
    options = list(candidates)
    close = difflib.get_close_matches(word[:80], options, n=1, cutoff=0.6 if len(word) > 3 else 0.5)
    close = close or [option for option in options if option.lower() == word.lower()]
    return close[0] if close else ""


def did_you_mean(meant: str) -> str:
    """Return the hint that `meant` was meant, "" for ""."""
    return f"did you mean {meant!r}?" if meant else ""


def one_of(options: Iterable[str]) -> str:
    """Return the options as "a", "a or b", "one of a, b, c"."""
    names = list(options)
    return " or ".join(names) if len(names) < 3 else "one of " + ", ".join(names)
