"""Checks that the frames of clips have their pictures, and that clips which are done have all their frames on record.

Pictures are looked at in shards by the first digits of their digests, as those of cells are.
"""

from __future__ import annotations

import hashlib
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from tasks.fsck.pictures import FaultyRow
from tasks.layout import PICTURES, picture_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import pyarrow as pa

    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report

_HINT: Final = (
    "restore it from a backup, or let `nst repair` drop its row and that of its clip, so that the clip is put together "
    "again; frames that are whole are not made again"
)
_COLUMNS: Final = ("picture_digest", "frame_key", "cell_id", "frame", "picture_bytes")


def check_frames(catalog: Catalog, report: Report, read_data: float) -> None:
    """Report every fault of the picture of a frame, and the clips that are done and lack rows of frames."""
    for fault in (*faulty_frames(catalog, report, read_data), *short_clips(catalog)):
        report.problem(fault.where, fault.what, _HINT)


def faulty_frames(catalog: Catalog, report: Report, read_data: float) -> Iterator[FaultyRow]:
    """Yield the rows of frames, unpublished ones included, whose picture is missing or is not the one that was written.

    Args:
        catalog: The catalog of the root.
        report: Gains the counts of frames and of their pictures.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1.
    """
    table = catalog.read("frames", _COLUMNS).sort_by("picture_digest")
    report.counts["frames"] += table.num_rows
    for shard, rows in groupby(_rows(table), key=lambda row: (row["picture_digest"] or "")[:2]):
        by_digest = {digest: list(same) for digest, same in groupby(rows, key=lambda row: row["picture_digest"])}
        if shard:
            yield from _check_shard(catalog, report, shard, by_digest, read_data)
        else:
            for row in by_digest[None]:
                yield FaultyRow(row["frame_key"], _name(row), "made, but its row names no picture")


def _check_shard(
    catalog: Catalog, report: Report, shard: str, by_digest: dict[str, list[dict[str, Any]]], read_data: float
) -> Iterator[FaultyRow]:
    """Yield the faulty rows among those whose digests begin with `shard`, given by digest."""
    sizes = {stat.key: stat.size for stat in catalog.store.list(f"{PICTURES}{shard}")}
    keys = {picture_key(digest, "png"): digest for digest in by_digest}
    to_read = [key for key, digest in keys.items() if key in sizes and _is_read(digest, read_data)]

    def verify(key: str) -> tuple[str, bool, int]:
        data = catalog.store.get(key)
        return key, hashlib.sha256(data).hexdigest() == keys[key], len(data)

    wrong = set()
    for key, right, size in catalog.ledger("frames").each(verify, to_read):
        report.counts["pictures of frames read"] += 1
        report.counts["bytes read"] += size
        if not right:
            wrong.add(key)
    for key, digest in keys.items():
        for row in by_digest[digest]:
            if key not in sizes:
                yield FaultyRow(row["frame_key"], key, f"picture of {_name(row)} is missing")
            elif row["picture_bytes"] not in {None, sizes[key]}:
                what = f"{sizes[key]} bytes, but the row of {_name(row)} says {row['picture_bytes']}"
                yield FaultyRow(row["frame_key"], key, what)
            elif key in wrong:
                yield FaultyRow(row["frame_key"], key, f"the bytes of {_name(row)} do not have its digest")


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


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield rows in their order, a few of them in memory at once."""
    for batch in table.to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _name(row: dict[str, Any]) -> str:
    return f"frame {row['frame']} of cell {row['cell_id']}"


def _is_read(digest: str, share: float) -> bool:
    """Return whether a picture is among the given share of those that are read; always the same ones."""
    return int(digest[:8], 16) < share * 2**32
