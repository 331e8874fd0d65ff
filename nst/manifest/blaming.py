"""Faults that a change beside a manifest brings into it are told of the change, and not of the line it does not fit."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, TypeVar

from nst.errors import ManifestError
from nst.manifest.overrides import COMMAND_LINE
from nst.yaml.positions import Layer, Span
from nst.yaml.problems import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from nst.errors import Problem
    from nst.manifest.declaration import Declaration

Checked = TypeVar("Checked")


def blaming_changes(check: Callable[[Declaration], Checked]) -> Callable[[Declaration], Checked]:
    """Make a check of manifests tell every fault that the manifest does not have without some change at that change."""

    @wraps(check)
    def checked(declaration: Declaration) -> Checked:
        try:
            return check(declaration)
        except ManifestError as error:
            if not declaration.changes:
                raise
            before = [_problems(check, declaration, number) for number in range(len(declaration.changes))]
            blamed = (_blamed(problem, declaration.changes, before) for problem in error.problems)
            raise ManifestError(tuple(dict.fromkeys(blamed))) from None

    return checked


def _problems(check: Callable[[Declaration], Checked], declaration: Declaration, number: int) -> set[Problem]:
    """Return the problems that there are without a change."""
    try:
        check(declaration.without(number))
    except ManifestError as error:
        return set(error.problems)
    return set()


def _blamed(problem: Problem, changes: tuple[str, ...], before: list[set[Problem]]) -> Problem:
    """Return a problem at the first change without which it is not there, or as it is."""
    new = [number for number, problems in enumerate(before) if problem not in problems]
    if problem.file == COMMAND_LINE or not new:
        return problem
    place = f"{problem.file}:{problem.line}:{problem.column}"
    fault = Fault((), f"this change does not fit to {place}: {problem.message}", problem.hint, kind=problem.kind)
    span = Span(new[0] + 1, 1, len(changes[new[0]]) + 1)
    return Layer(COMMAND_LINE, changes).problem(span, fault)
