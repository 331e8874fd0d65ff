"""Drops the rows whose picture or weights are gone or differ, so that cells, frames and models are made again.

It also finds, and removes, what no row names (`tasks.fsck.orphans`), and stored plans that no version of nst can read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.fsck.clips import short_clips
from tasks.fsck.findings import Report
from tasks.fsck.models import faulty_models
from tasks.fsck.orphans import GRACE_S, Orphans, find_orphans
from tasks.fsck.pictures import CELLS, FRAMES, FaultyRow, faulty_pictures
from tasks.fsck.plans import damaged_plans, remove_plans
from tasks.heartbeat import refuse_while_running

if TYPE_CHECKING:
    from tasks.planning.plan_files import UnreadablePlan
    from tasks.root import Root


@dataclass(frozen=True, slots=True)
class Repair:
    """The rows that a repair drops, the plans that it removes, and the objects that no row names."""

    cells: tuple[FaultyRow, ...]
    frames: tuple[FaultyRow, ...]
    models: tuple[FaultyRow, ...]
    plans: tuple[UnreadablePlan, ...]
    orphans: tuple[Orphans, ...]

    @property
    def faults(self) -> int:
        """Number of rows to drop."""
        return len(self.cells) + len(self.frames) + len(self.models)


def plan_repair(root: Root, *, read_data: float = 1.0, grace: float = GRACE_S) -> Repair:
    """Find the rows to drop and what no row names; changes nothing.

    Args:
        root: The root.
        grace: For how long an object stays that no row names, seconds; by the clock of this machine, since nothing is
            written here from which the store's would be known.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1; a missing one is found in any case.
    """
    counts = Report()
    found = list(faulty_pictures(root.catalog, counts, read_data))
    cells, frames = (tuple(row for rows, row in found if rows is table) for table in (CELLS, FRAMES))
    clips = tuple(short_clips(root.catalog, {row.id for row in frames}))
    models = tuple(faulty_models(root.catalog, counts))
    return Repair(cells + clips, frames, models, damaged_plans(root.store), find_orphans(root, time.time(), grace))


def repair(root: Root, planned: Repair) -> int:
    """Drop the rows of a planned repair, and remove its plans; after a crash, planning and repairing go on.

    Returns:
        The number of rows.

    Raises:
        UserError: A sweep is running below the root.
    """
    refuse_while_running(root.store)
    remove_plans(root.store, planned.plans)
    drops = (
        ("results", "cell_id", planned.cells),  # before the frames: a clip that is done has all of its own
        ("frames", "frame_key", planned.frames),
        ("models", "model_id", planned.models),
    )
    return sum(root.catalog.drop(table, key, {row.id for row in rows}) for table, key, rows in drops if rows)
