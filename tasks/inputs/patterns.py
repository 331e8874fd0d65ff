"""Globs, which mean the same in folders and in buckets: `*`, `?` and `[a-z]` within one name, `**` across folders.

Hidden names are found only by patterns that spell the dot.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_MAGIC = re.compile(r"[*?\[]")


def magic_at(pattern: str) -> int:
    """Return the index of the first character that makes a path a pattern, -1 if there is none."""
    found = _MAGIC.search(pattern)
    return found.start() if found else -1


def split_pattern(pattern: str) -> tuple[str, str]:
    """Return the folders before the first name that is a pattern, with their last slash, and the rest."""
    at = magic_at(pattern)
    end = pattern.rfind("/", 0, at if at >= 0 else len(pattern)) + 1
    return pattern[:end], pattern[end:]


def spells_extension(pattern: str) -> bool:
    """Return whether the last part of a pattern spells an extension."""
    last = pattern.rpartition("/")[2]
    return magic_at(last) >= 0 and re.search(r"\.[^*?\[.]+$", last) is not None


def matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Return a function that tells whether a path fits a pattern.

    Raises:
        InputError: The pattern is not valid.
    """
    *folders, last = pattern.split("/")
    text = "".join(r"(?:(?!\.)[^/]+/)*" if name == "**" else _regex(name) + "/" for name in folders)
    return _compiled(text + (r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+" if last == "**" else _regex(last)), pattern)


def name_matcher(name: str) -> Callable[[str], re.Match[str] | None]:
    """Return a function that tells whether a name fits one part of a pattern; errors as `matcher`."""
    return _compiled(_regex(name), name)


def _compiled(text: str, pattern: str) -> Callable[[str], re.Match[str] | None]:
    try:
        return re.compile(text, re.DOTALL).fullmatch
    except re.error:
        raise InputError(f"{pattern} is not a valid pattern", hint="write ranges as [a-z]") from None


def _regex(name: str) -> str:
    """Return the regular expression of one part of a glob.

    Each star but the last takes as little as it can and never tries again (an atomic group), since the next star can
    take all that it leaves: matching takes a time that grows with the square of the lengths, however many stars there
    are.
    """
    first, *others = (_fixed(piece) for piece in _between_stars(name))
    text = (r"(?!\.)" if name[:1] in {"*", "?", "["} else "") + first
    text += "".join(f"(?>[^/]*?{piece})" for piece in others[:-1])
    return text + (f"[^/]*{others[-1]}" if others else "")


def _between_stars(name: str) -> list[list[str]]:
    """Return what stands before, between and after the stars: single characters and sets of them."""
    pieces: list[list[str]] = [[]]
    for piece in re.findall(r"\[!?\]?[^\]]*\]|\*+|.", name, re.DOTALL):
        if piece.startswith("*"):
            pieces.append([])
        else:
            pieces[-1].append(piece)
    return pieces


def _fixed(pieces: list[str]) -> str:
    text = ""
    for piece in pieces:
        if piece == "?":
            text += "[^/]"
        elif len(piece) > 1:
            inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            text += f"[^{inner[1:]}/]" if inner.startswith("!") else f"[{inner}]"
        else:
            text += re.escape(piece)
    return text
