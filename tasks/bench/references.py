"""The reports of reference machines, which come with nst: what `nst bench --json` printed there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst.benchmarks.report import reports_from_json

if TYPE_CHECKING:
    from nst.benchmarks.report import Report

REFERENCES: Final = Path(__file__).with_name("references.json")


def references() -> tuple[Report, ...]:
    """Return the reports, in the order of the file."""
    return reports_from_json(REFERENCES.read_bytes())
