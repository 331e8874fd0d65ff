"""A safe YAML loader: plain values with the position of every key and value; every fault is a `Problem`."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from nst.errors import ManifestError, Problem
from nst.yaml.positions import Document, Layer, Where
from nst.yaml.reader import FatalError, Reader

MAX_CHARACTERS: Final = 2_000_000

_NOT_YAML: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPED: Final = re.compile(rf"{_NOT_YAML.pattern}|[\x7f\x85\u2028\u2029]")
"""What `dump` escapes: what YAML refuses, and what it takes for the end of a line."""


def load(text: str, file: str) -> Document:
    """Return the one document of a text, with the faults after which reading could go on, such as duplicate keys.

    Args:
        text: YAML 1.2, core schema; an empty text is the value None.
        file: What messages call it.

    Raises:
        ManifestError: The text is not YAML, or breaks a limit; nothing else is ever raised.
    """
    text = text.removeprefix("\ufeff")
    check_characters(text, file)
    layer = Layer(file, tuple(text.splitlines()))
    reader = Reader(text, layer)
    try:
        value = reader.document()
    except FatalError as error:
        raise ManifestError((*reader.problems, error.problem)) from None
    return Document(value, Where((layer,)), tuple(reader.problems))


def dump(value: Any) -> str:
    """Return a text that `load` reads as the same value: JSON, which is YAML, without characters that YAML refuses.

    Args:
        value: Mappings with texts as keys, lists, texts, finite numbers, truth values and None.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return _ESCAPED.sub(lambda odd: f"\\u{ord(odd[0]):04x}", text)


def check_characters(text: str, file: str) -> None:
    """Check the length and the characters of a text.

    Raises:
        ManifestError: The text is too long, or has a character that is not allowed in YAML.
    """
    if len(text) > MAX_CHARACTERS:
        message = f"found {len(text)} characters, expected at most {MAX_CHARACTERS}"
        raise ManifestError((Problem(file, 1, 1, message),))
    if odd := _NOT_YAML.search(text):
        before = text[: odd.start()].splitlines() or [""]
        line, column = len(before), len(before[-1]) + 1
        if odd.start() and text[odd.start() - 1] in "\n\r":
            line, column = line + 1, 1
        # The line is not shown: what it contains might control the reader's terminal.
        raise ManifestError((Problem(file, line, column, f"the character U+{ord(odd[0]):04X} is not allowed in YAML"),))
