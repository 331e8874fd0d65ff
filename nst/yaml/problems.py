"""Problems of a manifest: collected with their places, and the words in which they are told."""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING, Any, Final

from nst.errors import ManifestError, Problem
from nst.yaml.scalars import shorten

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nst.yaml.positions import Path, Where

MAX_PROBLEMS: Final = 100
_FEW: Final = 14
"""So many possible keys are listed in a hint; more are left to the reference."""


class Reporter:
    """Collects the problems of one manifest; the same problem twice counts once."""

    def __init__(self, where: Where, problems: Collection[Problem] = ()) -> None:
        self.where = where
        self.problems: dict[tuple[str, int, int, str], Problem] = {}
        for problem in problems:
            self._keep(problem)
        # The value there is a guess, so that whatever else is found about it would only confuse.
        self._told = {(problem.file, problem.line, problem.column) for problem in problems}

    @property
    def full(self) -> bool:
        """Whether so many problems are known that more would not help."""
        return len(self.problems) >= MAX_PROBLEMS

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Record a problem of the value (or key) at `path`."""
        problem = self.where.problem(path, message, hint, key=key)
        if (problem.file, problem.line, problem.column) not in self._told:
            self._keep(problem)

    def raise_any(self) -> None:
        """Raise all problems as one ManifestError, if there are any."""
        if self.problems:
            raise ManifestError(tuple(self.problems.values()))

    def _keep(self, problem: Problem) -> None:
        if not self.full:
            self.problems.setdefault((problem.file, problem.line, problem.column, problem.message), problem)


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


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for the nearest candidate, or ""."""
    options = list(candidates)
    close = difflib.get_close_matches(word[:80], options, n=1, cutoff=0.6 if len(word) > 3 else 0.5)
    close = close or [option for option in options if option.lower() == word.lower()]
    return f"did you mean {close[0]!r}?" if close else ""


def one_of(options: Iterable[str]) -> str:
    """Return the options as "a", "a or b", "one of a, b, c"."""
    names = list(options)
    return " or ".join(names) if len(names) < 3 else "one of " + ", ".join(names)


def keys_hint(key: str, keys: Iterable[str]) -> str:
    """Return which key was meant, or which there are."""
    names = sorted(keys)
    meant = did_you_mean(key, names)
    if meant or not names:
        return meant
    return f"the keys here are {', '.join(names)}" if len(names) <= _FEW else "`nst schema --reference` lists the keys"
