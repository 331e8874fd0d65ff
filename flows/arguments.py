"""What the functions of `import nst` are given: each kind of argument is checked here; one line says what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Real
from typing import Any, Final

from nst.errors import InputError

_LEAST: Final = 1e-9
_MOST: Final = 1e6


def found(value: Any) -> str:
    """Return a value in words, for a message."""
    return f"{type(value).__name__} {value!r}"[:80]


def path(value: Any, name: str) -> str:
    """Return a path or URI as a text.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, str | os.PathLike) or isinstance(os.fspath(value), bytes):
        raise InputError(f"found {found(value)} as {name}, expected a path or a URI")
    return os.fspath(value)


def text(value: Any, name: str) -> str:
    """Return a text.

    Raises:
        InputError: It is none.
    """
    if not isinstance(value, str):
        raise InputError(f"found {found(value)} as {name}, expected a text")
    return value


def texts(value: Any, name: str) -> tuple[str, ...]:
    """Return several texts; one alone is one.

    Raises:
        InputError: Something else is among them, or it is no sequence.
    """
    several = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else None
    if several is None or not all(isinstance(each, str) for each in several):
        raise InputError(f"found {found(value)} as {name}, expected a text or several")
    return several


def weight(value: Any, name: str) -> float:
    """Return a number that weighs something, from 1e-9 to 1e6.

    Raises:
        InputError: It is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not _LEAST <= float(value) <= _MOST:
        raise InputError(f"found {found(value)} as {name}, expected a number from {_LEAST:g} to {_MOST:g}")
    return float(value)
