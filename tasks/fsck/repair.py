"""Drops the rows whose picture or weights are gone or differ, so that cells, frames and models are made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.fsck.clips import short_clips
from tasks.fsck.findings import Report
from tasks.fsck.models import faulty_models
from tasks.fsck.pictures import CELLS, FRAMES, FaultyRow, faulty_pictures
from tasks.heartbeat import refuse_while_running

if TYPE_CHECKING:
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class Repair:
    """The rows that a repair drops."""

    cells: tuple[FaultyRow, ...]
    frames: tuple[FaultyRow, ...]
    models: tuple[FaultyRow, ...]

    @property
    def faults(self) -> int:
        """Number of rows to drop."""
        return len(self.cells) + len(self.frames) + len(self.models)


def plan_repair(root: Root, *, read_data: float = 1.0) -> Repair:
    """Find the rows to drop; changes nothing.

    Args:
        root: The root.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1; a missing one is found in any case.
    """
    counts = Report()
    found = list(faulty_pictures(root.catalog, counts, read_data))
    cells, frames = (tuple(row for rows, row in found if rows is table) for table in (CELLS, FRAMES))
    clips = tuple(short_clips(root.catalog, {row.id for row in frames}))
    return Repair(cells + clips, frames, tuple(faulty_models(root.catalog, counts)))


def repair(root: Root, planned: Repair) -> int:
    """Drop the rows of a planned repair and return their number; after a crash, planning and repairing go on.

    Raises:
        UserError: A sweep is running below the root.
    """
    refuse_while_running(root.store)
    drops = (
        ("results", "cell_id", planned.cells),  # before the frames: a clip that is done has all of its own
        ("frames", "frame_key", planned.frames),
        ("models", "model_id", planned.models),
    )
    return sum(root.catalog.drop(table, key, {row.id for row in rows}) for table, key, rows in drops)
