"""Scalars of the YAML 1.2 core schema, and what YAML 1.1 would have made of them."""

from __future__ import annotations

import math
import re
from typing import Any, Final

_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_RADIX: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_WORDS: Final[dict[str, Any]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_MAX_DIGITS: Final = 20


class ScalarError(ValueError):
    """A scalar that is refused.

    Args:
        message: What is wrong with it.
        hint: What to write instead.
        value: What it most likely means, so that reading can go on.
    """

    def __init__(self, message: str, hint: str, value: Any) -> None:
        super().__init__(message)
        self.hint = hint
        self.value = value


def resolve(text: str) -> Any:
    """Return the value of a plain scalar: null, bool, int, float or str.

    Raises:
        ScalarError: A number with leading zeros (octal in YAML 1.1, decimal in 1.2), or one that is too large.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if _RADIX.fullmatch(text):
        if len(text) > _MAX_DIGITS:
            raise ScalarError(f"the number {shorten(text)} is too long", f"at most {_MAX_DIGITS} characters", 1)
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise ScalarError(f"the number {shorten(text)} is too large", "the largest is about 1.8e308", 1.0)
        return number
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    if len(digits) > _MAX_DIGITS:
        raise ScalarError(f"the number {shorten(text)} is too long", f"at most {_MAX_DIGITS} digits", 1)
    if len(digits) > 1 and digits[0] == "0":
        plain = text[: -len(digits)] + (digits.lstrip("0") or "0")
        octal = f", 0o{digits.lstrip('0') or '0'} if you mean octal" if not set(digits) & set("89") else ""
        raise ScalarError(
            f"the number {text} has a leading zero", f"write {plain}{octal}, or '{text}' if you mean text", int(plain)
        )
    return int(text)


def old_yaml_hint(text: str, expected: type) -> str:
    """Return why YAML 1.2 reads `text` as text where a value of another type is expected (bool, int, float), or ""."""
    word = text.lower()
    if expected is bool and word in {"yes", "on", "y", "no", "off", "n"}:
        return f"YAML 1.2 reads {text} as text: write {'true' if word in {'yes', 'on', 'y'} else 'false'}"
    if expected in {int, float}:
        if re.fullmatch(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?", text):
            return f"YAML 1.2 has no numbers to base 60: {text} is text"
        if "_" in text and _FLOAT.fullmatch(text.replace("_", "")):
            return f"write {text.replace('_', '')}, without underscores"
        if "," in text and _FLOAT.fullmatch(text.replace(",", ".", 1)):
            return f"write {text.replace(',', '.', 1)}, with a point"
        if _FLOAT.fullmatch(text) or _RADIX.fullmatch(text):
            return f"write {text} without quotes"
    return ""


def shorten(text: str, length: int = 60) -> str:
    """Return `text` cut to `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."
