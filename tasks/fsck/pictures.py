"""Checks that every done cell and every frame of a clip has its picture, with the digest and size of its row.

What the rows say of their pictures is kept as digests and sizes in arrays, 40 bytes a row, and pictures are listed in
shards by the first digits of their digests, so that a million of them need little memory.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tasks.catalog.keyless import without_keys
from tasks.catalog.parquet import from_file, to_arrow
from tasks.catalog.read import snapshot
from tasks.layout import PICTURES

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pyarrow as pa

    from tasks.catalog import Catalog
    from tasks.fsck.findings import Report
    from tasks.store import Stat

    Pictures = npt.NDArray[np.void]

_DIGEST: Final = "^[0-9a-f]{64}$"
_NO_SIZE: Final = -1
_ONE_LISTING: Final = 50_000
"""Up to this many rows all pictures are listed at once; beyond, in 256 shards."""


@dataclass(frozen=True, slots=True)
class PictureRows:
    """The rows of a table that name pictures.

    Attributes:
        table: Name of the table.
        key: The column that tells its rows apart.
        named: What a row is called, with columns in braces.
        counted: What the pictures are called where they are counted.
        hint: What to do about a faulty one.
    """

    table: str
    key: str
    named: str
    counted: str
    hint: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to read."""
        return ("picture_digest", "picture_bytes", *dict.fromkeys((self.key, *re.findall(r"{(\w+)}", self.named))))


CELLS: Final = PictureRows(
    "results",
    "cell_id",
    "cell {cell_id}",
    "pictures",
    "restore it from a backup, or let `nst repair` drop its row, so that the cell runs again",
)
FRAMES: Final = PictureRows(
    "frames",
    "frame_key",
    "frame {frame} of cell {cell_id}",
    "pictures of frames",
    "restore it from a backup, or let `nst repair` drop its row and that of its clip, so that the clip is put together "
    "again; frames that are whole are not made again",
)


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
class _Fault:
    """What is wrong with a picture, in words that name its row by `{row}`."""

    where: str
    what: str


_Faults = dict[tuple[str, int | None], _Fault]
"""Faults by the digest and the size that rows say."""


def check_pictures(catalog: Catalog, report: Report, read_data: float) -> None:
    """Report every fault of a picture."""
    for rows, fault in faulty_pictures(catalog, report, read_data):
        report.problem(fault.where, fault.what, rows.hint)


def faulty_pictures(catalog: Catalog, report: Report, read_data: float) -> Iterator[tuple[PictureRows, FaultyRow]]:
    """Yield the rows of cells and of frames whose picture is missing or is not the one that was written.

    Rows that are committed and not yet published are looked at, too.

    Args:
        catalog: The catalog of the root.
        report: Gains the counts of pictures, and a note about those that no row names.
        read_data: Share of the pictures whose bytes are read and hashed, 0..1.
    """
    found = [(rows, *_pictures(catalog, rows)) for rows in (CELLS, FRAMES)]
    many = max(pictures.size for _, pictures, _ in found) > _ONE_LISTING
    orphans, faults = 0, {rows: _Faults() for rows, _, _ in found}
    for prefix in [f"{number:02x}" for number in range(256)] if many else [""]:
        present: dict[str, list[Stat]] = {}
        for stat in catalog.store.list(f"{PICTURES}{prefix}"):
            present.setdefault(_digest_of(stat), []).append(stat)
        known = set[str]()
        for rows, pictures, _ in found:
            here = list(_named(pictures, prefix))
            faults[rows] |= _check_shard(catalog, rows, report, here, present, read_data=read_data)
            digests = {digest for digest, _ in here}
            report.counts[rows.counted] += len(digests)
            known |= digests
        orphans += sum(len(present[digest]) for digest in present.keys() - known if re.match(_DIGEST, digest))
    for rows, _, nameless in found:
        yield from ((rows, fault) for fault in _faulty_rows(catalog, rows, faults[rows], nameless))
    if orphans:
        report.notes.append(
            f"{orphans} pictures belong to no done row: left by batches that did not end, "
            "harmless; `nst repair` removes them"
        )
        report.counts["orphan pictures"] += orphans


def _pictures(catalog: Catalog, rows: PictureRows) -> tuple[Pictures, list[str]]:
    """Return the different digests and sizes that rows say, sorted, and the keys of the rows that name no picture.

    A row that will never be published, since its key is published already, counts here as every other row does.
    """
    ledger = without_keys(catalog.ledger(rows.table))
    files, fresh = snapshot(ledger, live=True, parse=lambda file: _pictures_of(from_file(file, rows.columns), rows.key))
    fresh_rows = to_arrow(ledger.table, fresh).select(rows.columns)
    parts, keys = zip(*files, _pictures_of(fresh_rows, rows.key), strict=True)
    del files  # so that the sum of the parts is not in memory twice while it is sorted
    found = np.concatenate(parts)
    del parts
    return _different(found), list(chain.from_iterable(keys))


def _pictures_of(rows: pa.Table, key: str) -> tuple[Pictures, list[str]]:
    """Return the digest and the size that each row says, and the keys of the rows that name no picture."""
    import pyarrow.compute as pc

    digests, sizes = rows["picture_digest"].cast("string"), rows["picture_bytes"].cast("int64")
    named = pc.fill_null(pc.match_substring_regex(digests, _DIGEST), False)
    joined = bytes.fromhex("".join(digests.filter(named).to_pylist()))
    found = np.empty(len(joined) // 32, [("digest", "S32"), ("size", np.int64)])
    found["digest"] = np.frombuffer(joined, "S32")
    found["size"] = pc.fill_null(sizes.filter(named), _NO_SIZE).to_numpy()
    return _different(found), rows[key].filter(pc.invert(named)).to_pylist()


def _different(pictures: Pictures) -> Pictures:
    """Return the pictures sorted, each once."""
    found: Pictures = pictures[np.lexsort((pictures["size"], pictures["digest"]))]
    different: Pictures = found[np.append(True, found[1:] != found[:-1])[: found.size]]
    return different


def _named(pictures: Pictures, prefix: str) -> Iterator[tuple[str, int | None]]:
    """Yield the digests that begin with a prefix of no or two digits, with their sizes."""
    start, end = 0, pictures.size
    if prefix:
        first = int(prefix, 16)
        start = int(np.searchsorted(pictures["digest"], bytes([first])))
        end = int(np.searchsorted(pictures["digest"], bytes([first + 1]))) if first < 255 else end
    for digest, size in pictures[start:end].tolist():
        yield digest.ljust(32, b"\0").hex(), None if size == _NO_SIZE else size  # numpy leaves zeros at the end out


def _check_shard(
    catalog: Catalog,
    rows: PictureRows,
    report: Report,
    named: list[tuple[str, int | None]],
    present: dict[str, list[Stat]],
    *,
    read_data: float,
) -> _Faults:
    """Return the faults of some pictures, given what the store has of them."""
    faults = _Faults()
    chosen: dict[str, list[int | None]] = {}
    for digest, size in named:
        stats = present.get(digest)
        if not stats:
            where = f"{PICTURES}{digest[:2]}/{digest}"
            faults[digest, size] = _Fault(where, "picture of {row} is missing")
        elif size not in {None, *(stat.size for stat in stats)}:
            what = f"{stats[0].size} bytes, but the row of {{row}} says {size}"
            faults[digest, size] = _Fault(stats[0].key, what)
        elif _chosen(digest, read_data):
            chosen.setdefault(digest, []).append(size)

    def verify(stat: Stat) -> tuple[Stat, bool, int]:
        data = catalog.store.get(stat.key)
        return stat, hashlib.sha256(data).hexdigest() == _digest_of(stat), len(data)

    to_read = [stat for digest in chosen for stat in present[digest]]
    for stat, right, size in catalog.ledger(rows.table).each(verify, to_read):
        report.counts[f"{rows.counted} read"] += 1
        report.counts["bytes read"] += size
        if not right:
            fault = _Fault(stat.key, "the bytes of the picture of {row} do not have its digest")
            faults |= dict.fromkeys(((_digest_of(stat), said) for said in chosen[_digest_of(stat)]), fault)
    return faults


def _faulty_rows(catalog: Catalog, rows: PictureRows, faults: _Faults, nameless: list[str]) -> Iterator[FaultyRow]:
    """Yield the rows of faulty pictures, and those of these keys that name no picture."""
    if faults:
        digests = {digest for digest, _ in faults}
        for row in _read(catalog, rows, "picture_digest", digests):
            if fault := faults.get((row["picture_digest"], row["picture_bytes"])):
                yield FaultyRow(row[rows.key], fault.where, fault.what.format(row=rows.named.format(**row)))
    if nameless:
        for row in _read(catalog, rows, rows.key, set(nameless)):
            if not re.match(_DIGEST, row["picture_digest"] or ""):
                yield FaultyRow(row[rows.key], rows.named.format(**row), "done, but its row names no picture")


def _read(catalog: Catalog, rows: PictureRows, column: str, values: set[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = catalog.read(rows.table, rows.columns, where=(column, values)).to_pylist()
    return found


def _digest_of(stat: Stat) -> str:
    return stat.key.rsplit("/", 1)[1].split(".")[0]


def _chosen(digest: str, share: float) -> bool:
    """Return whether a digest is among the given share; always the same ones."""
    return int(hashlib.sha256(digest.encode()).hexdigest()[:8], 16) < share * 2**32
