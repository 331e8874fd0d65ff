"""Collects everything that is wrong with one manifest, so that all of it is reported at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.errors import ManifestError
from nst.yaml.positions import is_merged
from nst.yaml.problems import MAX_PROBLEMS, Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nst.errors import Problem
    from nst.yaml.positions import Path, Where


class Reporter:
    """Collects the problems of one manifest; a problem that is found twice counts once.

    Args:
        positions: Where the keys and values of the manifest stand.
        problems: What was found already while its YAML was read.
        complete: Whether the manifests that it extends were read. If not, no key is missing that may stand there.
    """

    def __init__(self, positions: Where, problems: Iterable[Problem] = (), *, complete: bool = True) -> None:
        self.positions = positions
        self.problems: dict[tuple[str, int, int, str], Problem] = {}
        self._complete = complete
        self._misspelt: set[Path] = set()
        self._guessed: set[tuple[str, int, int]] = set()
        for problem in problems:
            self._keep(problem)
            # The value there is a guess: what else is found about it would only confuse.
            self._guessed.add((problem.file, problem.line, problem.column))

    @property
    def full(self) -> bool:
        """Whether more problems would not be kept."""
        return len(self.problems) >= MAX_PROBLEMS

    def add(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> None:
        """Record a problem of the value (or key) at `path`."""
        self.add_fault(Fault(path, message, hint, key))

    def add_fault(self, fault: Fault) -> None:
        """Record a fault, unless it is a missing key that is there under a misspelt name, which was reported."""
        if fault.kind == "missing" and self.is_misspelt((*fault.path, fault.meant)):
            return
        if fault.kind == "missing" and not self._complete and is_merged(fault.path):
            return
        if fault.kind == "unknown" and fault.meant:
            self._misspelt.add((*fault.path[:-1], fault.meant))
        problem = self.positions.locate(fault)
        if (problem.file, problem.line, problem.column) not in self._guessed:
            self._keep(problem)

    def add_faults(self, faults: Iterable[Fault], below: Path = ()) -> None:
        """Record the faults of the value at `below`."""
        for fault in faults:
            self.add_fault(fault.below(below))

    def is_misspelt(self, path: Path) -> bool:
        """Return whether a key was reported that is probably a misspelling of the one at `path`."""
        return path in self._misspelt

    def raise_any(self) -> None:
        """Raise all problems as one ManifestError, if there are any.

        Raises:
            ManifestError: There are problems.
        """
        if self.problems:
            raise ManifestError(tuple(self.problems.values()))

    def _keep(self, problem: Problem) -> None:
        if not self.full:
            self.problems.setdefault((problem.file, problem.line, problem.column, problem.message), problem)
