"""Checks that every done cell has its picture, and that the picture has the digest and size of its row.

Pictures are looked at in shards by the first digits of their digests, so that a million of them need little memory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from tasks.layout import PICTURES

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    import pyarrow as pa

    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report
    from tasks.store import Stat

_HINT: Final = "restore it from a backup, or let `nst repair` drop its row, so that the cell runs again"
_ONE_LISTING: Final = 50_000
"""Up to this many rows all pictures are listed at once; beyond, in 256 shards."""


@dataclass(frozen=True, slots=True)
class FaultyRow:
    """A done row whose picture cannot be trusted.

    Attributes:
        id: The cell, the model, or the key of the frame's row.
        where: Key of the picture, or of the weights.
        what: What is wrong.
    """

    id: str
    where: str
    what: str


@dataclass(frozen=True, slots=True)
class _Row:
    """What a done row says of its picture."""

    digest: str
    cell_id: str
    size: int | None


def check_pictures(catalog: Catalog, report: Report, read_data: float) -> None:
    """Report every fault of a picture."""
    for fault in faulty_pictures(catalog, report, read_data):
        report.problem(fault.where, fault.what, _HINT)


def faulty_pictures(catalog: Catalog, report: Report, read_data: float) -> Iterator[FaultyRow]:
    """Yield the done rows, unpublished ones included, whose picture is missing or is not the one that was written.

    Args:
        catalog: The catalog of the root.
        report: Gains the counts of pictures, and a note about those that no row names.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1.
    """
    table = catalog.read("results", ["picture_digest", "cell_id", "picture_bytes"]).sort_by("picture_digest")
    frames = set(catalog.read("frames", ["picture_digest"])["picture_digest"].to_pylist())
    digits = 0 if table.num_rows <= _ONE_LISTING else 2
    shards = groupby(_rows(table), key=lambda row: row.digest[:digits])
    shard, rows = next(shards, ("", iter(())))
    orphans = 0
    for prefix in [""] if not digits else [f"{number:02x}" for number in range(256)]:
        here: list[_Row] = []
        if shard == prefix:
            here = list(rows)
            shard, rows = next(shards, ("", iter(())))
        orphans += yield from _check_shard(catalog, report, prefix, here, read_data, frames=frames)
    digests = table.column("picture_digest")
    for cell_id in table.filter(digests.is_null()).column("cell_id").to_pylist():
        yield FaultyRow(cell_id, f"cell {cell_id}", "done, but its row names no picture")
    if orphans:
        report.notes.append(f"{orphans} pictures belong to no done row: left by batches that did not end, harmless")
        report.counts["orphan pictures"] += orphans


def _rows(table: pa.Table) -> Iterator[_Row]:
    """Yield the rows that name a picture, in the order of the digests."""
    for batch in table.to_batches(max_chunksize=10_000):
        for row in zip(*(batch.column(number).to_pylist() for number in range(3)), strict=True):
            if row[0] is not None:
                yield _Row(*row)


def _check_shard(
    catalog: Catalog, report: Report, prefix: str, rows: list[_Row], read_data: float, *, frames: set[str]
) -> Generator[FaultyRow, None, int]:
    """Yield the faults of the rows whose digests begin with a prefix; return the number of pictures without a row.

    The frames of clips have rows of their own, which `tasks.fsck.frames` checks.
    """
    present: dict[str, list[Stat]] = {}
    for stat in catalog.store.list(f"{PICTURES}{prefix}"):
        present.setdefault(_digest_of(stat), []).append(stat)
    chosen: dict[str, _Row] = {}
    for row in rows:
        stats = present.get(row.digest)
        if not stats:
            where = f"{PICTURES}{row.digest[:2]}/{row.digest}"
            yield FaultyRow(row.cell_id, where, f"picture of cell {row.cell_id} is missing")
        elif row.size not in {None, *(stat.size for stat in stats)}:
            what = f"{stats[0].size} bytes, but the row of cell {row.cell_id} says {row.size}"
            yield FaultyRow(row.cell_id, stats[0].key, what)
        elif _chosen(row.digest, read_data):
            chosen[row.digest] = row

    def verify(stat: Stat) -> tuple[Stat, bool, int]:
        data = catalog.store.get(stat.key)
        return stat, hashlib.sha256(data).hexdigest() == _digest_of(stat), len(data)

    to_read = [stat for digest in chosen for stat in present[digest]]
    for stat, right, size in catalog.ledger("results").each(verify, to_read):
        report.counts["pictures read"] += 1
        report.counts["bytes read"] += size
        if not right:
            for row in (row for row in rows if row.digest == _digest_of(stat)):
                yield FaultyRow(row.cell_id, stat.key, "the picture's bytes do not have its digest")
    named = {row.digest for row in rows}
    report.counts["pictures"] += len(named)
    return sum(len(stats) for digest, stats in present.items() if digest not in named and digest not in frames)


def _digest_of(stat: Stat) -> str:
    return stat.key.rsplit("/", 1)[1].split(".")[0]


def _chosen(digest: str, share: float) -> bool:
    """Return whether a digest is among the given share; always the same ones."""
    return int(hashlib.sha256(digest.encode()).hexdigest()[:8], 16) < share * 2**32
