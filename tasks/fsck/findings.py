"""The outcome of checking a root: problems for people to solve, notes about harmless leftovers, counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of a root: where it is, what is wrong, what to do."""

    where: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.hint})"


@dataclass(slots=True)
class Report:
    """The outcome of `fsck`.

    Attributes:
        problems: Faults, worst first within a table.
        notes: Leftovers that the next publishing or compaction clears away, and anything else worth knowing.
        counts: Numbers of claims, files, rows, records and pictures that were checked, and of orphans.
    """

    problems: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def problem(self, where: str, what: str, hint: str) -> None:
        """Add a fault."""
        self.problems.append(Finding(where, what, hint))

    def lines(self) -> list[str]:
        """Return the report as text: what was checked, notes, problems, verdict."""
        checked = ", ".join(f"{number:,} {what}" for what, number in self.counts.items())
        verdict = "nothing wrong" if self.ok else f"{len(self.problems)} problems"
        return [
            f"checked {checked}" if checked else "checked an empty root",
            *(f"note: {note}" for note in self.notes),
            *(f"problem: {finding}" for finding in self.problems),
            verdict,
        ]
