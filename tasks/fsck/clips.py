"""Checks that clips which are done have all their frames on record; the pictures of frames: `tasks.fsck.pictures`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.fsck.pictures import FaultyRow

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report

_HINT: Final = "let `nst repair` drop the row of the clip, so that it is put together again"


def check_clips(catalog: Catalog, report: Report) -> None:
    """Report the clips that are done and lack rows of frames."""
    for fault in short_clips(catalog):
        report.problem(fault.where, fault.what, _HINT)


def short_clips(catalog: Catalog, lost: Collection[str] = ()) -> Iterator[FaultyRow]:
    """Yield the clips that are done and have fewer frames on record than they show.

    Args:
        catalog: The catalog of the root.
        lost: Keys of rows of frames that do not count.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    clips = catalog.read("results", ["cell_id", "clip_frames"])
    clips = clips.filter(pc.is_valid(clips["clip_frames"]))
    if not clips.num_rows:
        return
    frames = catalog.read("frames", ["cell_id", "frame", "frame_key"])
    frames = frames.filter(pc.invert(pc.is_in(frames["frame_key"], pa.array(list(lost), pa.string()))))
    counts = frames.group_by("cell_id").aggregate([("frame", "count_distinct")])
    known = dict(zip(counts["cell_id"].to_pylist(), counts["frame_count_distinct"].to_pylist(), strict=True))
    for cell, count in zip(clips["cell_id"].to_pylist(), clips["clip_frames"].to_pylist(), strict=True):
        if (found := known.get(cell, 0)) < count:
            yield FaultyRow(cell, f"cell {cell}", f"done, but {found} of the {count} frames of its clip are on record")
