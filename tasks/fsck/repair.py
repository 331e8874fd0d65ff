"""Drops the rows whose picture or weights are gone or differ, so that their cells run and their models train again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.fsck.findings import Report
from tasks.fsck.models import faulty_models
from tasks.fsck.pictures import FaultyRow, faulty_pictures
from tasks.heartbeat import refuse_while_running

if TYPE_CHECKING:
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class Repair:
    """The rows that a repair drops."""

    cells: tuple[FaultyRow, ...]
    models: tuple[FaultyRow, ...]


def plan_repair(root: Root, *, read_data: float = 1.0) -> Repair:
    """Find the rows to drop; changes nothing.

    Args:
        root: The root.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1; a missing one is found in any case.
    """
    counts = Report()
    cells = tuple(faulty_pictures(root.catalog, counts, read_data))
    return Repair(cells, tuple(faulty_models(root.catalog, counts)))


def repair(root: Root, planned: Repair) -> int:
    """Drop the rows of a planned repair and return their number; after a crash, planning and repairing go on.

    Raises:
        UserError: A sweep is running below the root.
    """
    refuse_while_running(root.store)
    return root.catalog.drop("results", "cell_id", {row.id for row in planned.cells}) + root.catalog.drop(
        "models", "model_id", {row.id for row in planned.models}
    )
