"""Checks that clips which are done have all their frames on record; the pictures of frames: `tasks.fsck.pictures`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tasks.catalog.keyless import without_keys
from tasks.catalog.parquet import from_file, to_arrow
from tasks.catalog.read import snapshot
from tasks.fsck.pictures import FaultyRow

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import pyarrow as pa

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

    clips = _read(catalog, "results", ["cell_id", "clip_frames"], lambda rows: pc.is_valid(rows["clip_frames"]))
    if not clips.num_rows:
        return
    left_out = pa.array(list(lost), pa.string())
    columns = ["cell_id", "frame", "frame_key"]
    frames = _read(catalog, "frames", columns, lambda rows: pc.invert(pc.is_in(rows["frame_key"], left_out)))
    counts = frames.group_by("cell_id").aggregate([("frame", "count_distinct")])
    known = dict(zip(counts["cell_id"].to_pylist(), counts["frame_count_distinct"].to_pylist(), strict=True))
    for cell, count in zip(clips["cell_id"].to_pylist(), clips["clip_frames"].to_pylist(), strict=True):
        if (found := known.get(cell, 0)) < count:
            yield FaultyRow(cell, f"cell {cell}", f"done, but {found} of the {count} frames of its clip are on record")


def _read(catalog: Catalog, table: str, columns: Sequence[str], wanted: Callable[[pa.Table], pa.Array]) -> pa.Table:
    """Return the first two columns of the wanted rows of a table; of no file more is in memory after it was read."""
    import pyarrow as pa

    def parse(rows: pa.Table) -> pa.Table:
        return rows.filter(wanted(rows)).select(columns[:2])

    ledger = without_keys(catalog.ledger(table))
    files, fresh = snapshot(ledger, live=True, parse=lambda file: parse(from_file(file, columns)))
    parts = [*files, parse(to_arrow(ledger.table, fresh).select(list(columns)))]
    return pa.concat_tables(parts, promote_options="default")  # a file of an older version lacks columns
