"""A safe YAML loader: plain values with the position of every key and value; every fault is a `Problem`."""

from __future__ import annotations

import re
from typing import Final

from nst.errors import ManifestError, Problem
from nst.yaml.positions import Document, Layer, Where
from nst.yaml.reader import FatalError, Reader

MAX_CHARACTERS: Final = 2_000_000

_NOT_YAML: Final = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def load(text: str, file: str) -> Document:
    """Return the one document of a text, with the faults after which reading could go on, such as duplicate keys.

    Args:
        text: YAML 1.2, core schema; an empty text is the value None.
        file: What messages call it.

    Raises:
        ManifestError: The text is not YAML, or breaks a limit; nothing else is ever raised.
    """
    text = text.removeprefix("\ufeff")
    _check_characters(text, file)
    layer = Layer(file, tuple(text.splitlines()))
    reader = Reader(text, layer)
    try:
        value = reader.document()
    except FatalError as error:
        raise ManifestError((*reader.problems, error.problem)) from None
    return Document(value, Where((layer,)), tuple(reader.problems))


def _check_characters(text: str, file: str) -> None:
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
