"""Puts the cells of a planned sweep on record in the table `sweeps`, one row for each name of a cell in the sweep."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nst.identity import hex_of
from nst.planning.merging import aliases
from nst.redaction import redacted
from tasks.catalog.parquet import from_file
from tasks.layout import manifest_key

if TYPE_CHECKING:
    from nst.planning.cells import Images
    from tasks.catalog import Catalog
    from tasks.planning.sweep import PreparedSweep

_CELLS_PER_RECORD: Final = 20_000

_Row = dict[str, Any]


def register_sweep(prepared: PreparedSweep) -> bool:
    """Put the sweep's cells on record, and its manifest below the root; return whether anything was new.

    A cell has one row under its own name, at its place. It has another row, after those of all cells, for each further
    name of its images: the same bytes may be two files of one manifest, and files may have got other names since the
    sweep was first submitted.
    """
    plan, catalog = prepared.plan, prepared.root.catalog
    prepared.root.store.put(manifest_key(plan.name, plan.sweep_id), redacted(prepared.source.text).encode())
    common = {
        "sweep_id": plan.sweep_id,
        "sweep_name": plan.name,
        "manifest_uri": prepared.source.place,
        "submitted_at": datetime.now(UTC),
    }
    cells, is_new = plan.cells, True
    for start in range(0, len(cells), _CELLS_PER_RECORD):
        numbers = range(start, min(start + _CELLS_PER_RECORD, len(cells)))
        rows = [{"position": number, **_named(cells.ids[number], cells.images(number))} for number in numbers]
        is_new &= catalog.commit("sweeps", plan.sweep_id, f"cells-{start:08d}", rows, common=common)
    position = len(cells)
    further = [_named(cells.ids[n], images) for n, found in aliases(cells).items() for images in found]
    if not is_new:
        known = _on_record(catalog, plan.sweep_id)
        position = max(position, len(known))
        own = (_named(cell, cells.images(number)) for number, cell in enumerate(cells.ids))
        further = [row for rows in (own, further) for row in rows if hash(tuple(row.values())) not in known]
    if further:
        names = hex_of(f"{row['cell_id']}\n{row['content_name']}\n{row['style_name']}\n" for row in further)
        rows = [{"position": position + number, "alias": True, **row} for number, row in enumerate(further)]
        is_new |= catalog.commit("sweeps", plan.sweep_id, f"names-{names}", rows, common=common)
    return is_new


def _named(cell_id: str, images: Images) -> _Row:
    """Return a cell with the names of its images."""
    content, style = images
    names = {"content_name": content.name if content else None, "style_name": style.name if style else None}
    return {"cell_id": cell_id, **names}


def _on_record(catalog: Catalog, sweep_id: str) -> set[int]:
    """Return the hashes of the rows of a sweep: numbers take a fifth of the memory of the rows."""
    import pyarrow.compute as pc

    names = ["cell_id", "content_name", "style_name"]

    def parse(file: bytes) -> set[int]:
        table = from_file(file, ["sweep_id", *names])
        table = table.filter(pc.equal(table["sweep_id"], sweep_id))
        return {
            hash(row)
            for batch in table.to_batches(max_chunksize=_CELLS_PER_RECORD)
            for row in zip(*(batch.column(name).to_pylist() for name in names), strict=True)
        }

    files, rows = catalog.snapshot("sweeps", parse)
    fresh = {hash(tuple(row.get(name) for name in names)) for row in rows if row["sweep_id"] == sweep_id}
    return fresh.union(*files)
