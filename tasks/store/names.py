"""The parts of a URI or path, from its text alone: protocol, local path, the form that messages may show."""

from __future__ import annotations

import difflib
import os
import re
from typing import TYPE_CHECKING

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


def scheme_of(uri: str) -> str:
    """Return the protocol of a URI in lower case, "file" for a plain path."""
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else "file"


def local_path(uri: str) -> str:
    """Return the path that a plain path or a file:// URI names, with ~ expanded."""
    return os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111


def unknown_scheme(uri: str, known: Sequence[str]) -> InputError:
    """Return the error for a protocol that nst does not speak."""
    scheme = scheme_of(uri)
    close = difflib.get_close_matches(scheme, known, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}://? " if close else ""
    return InputError(f"unknown protocol {scheme}://", hint=f"{guess}known: a local path, {', '.join(known)}")


def printable(uri: str) -> str:
    """Return `uri` without user name, password, query and fragment."""
    scheme, separator, rest = uri.partition("://")
    if not separator or scheme.lower() not in {"http", "https"}:
        return uri
    host, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
