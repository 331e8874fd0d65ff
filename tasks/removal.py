"""Removes a sweep: first from the list of sweeps, then its cells and pictures that no other sweep names.

A note below the root says what a removal that has begun will take away, so that after a crash at any step the next
removal ends it. Cells that another sweep names by then, or the same sweep submitted again, stay.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import AfterValidator, Field, TypeAdapter

from nst.errors import UserError
from nst.yaml.json_text import checked_json
from tasks.catalog.layout import safe
from tasks.claims import claims_of_sweep
from tasks.heartbeat import heartbeats_of_sweep, refuse_while_running
from tasks.layout import (
    REMOVALS,
    SHOWN_SWEEPS,
    TOGETHER,
    copy_key,
    manifest_key,
    page_folder,
    picture_key,
    previews,
    removal_key,
    thumbnail_key,
)
from tasks.naming import Names
from tasks.planning.hindrances import hindrance_keys
from tasks.planning.plan_files import plans_of_sweep
from tasks.planning.withdrawal import withdrawal_key

if TYPE_CHECKING:
    from tasks.root import Root
    from tasks.store import Store

_TABLES: Final = ("results", "traces", "failures")
"""The tables that drop rows by the id of a cell."""

_ABOUT_CELLS: Final = (
    ("judgements", "judgement_id", "cell_id"),
    ("frames", "frame_key", "cell_id"),
    ("annotations", "annotation_id", "cell_id"),
    ("votes", "vote_id", "left_cell_id"),
    ("votes", "vote_id", "right_cell_id"),
)
"""Tables whose rows are about cells and have a key of their own, that key, and the column with the id of the cell."""

_PICTURES: Final = {
    "results": ["picture_digest", "picture_format", "picture_bytes"],
    "frames": ["picture_digest", "picture_bytes"],
}
"""The tables whose rows have a picture, and the columns about it; a frame is a PNG file."""

_CLIPS: Final = frozenset({"gif", "mkv", "mp4", "webp"})
"""Formats of pictures that are clips, of which the page may have copies."""

_Safe = Annotated[str, AfterValidator(safe)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Format = Annotated[str, Field(pattern=r"^[a-z0-9]+$")]


@dataclass(frozen=True, slots=True)
class Removal:
    """What the removal of a sweep takes away.

    Attributes:
        sweep_id, name: The sweep.
        edition: How often its commit records have begun anew: the sweep is to be hidden as long as this holds.
        total: Its cells.
        cells: Ids of those that no other sweep names.
        pictures: Digest and format of the pictures of these cells that no other row names.
        picture_bytes: Bytes of these pictures, their thumbnails left out.
    """

    sweep_id: _Safe
    name: _Safe
    edition: int
    total: int
    cells: tuple[str, ...]
    pictures: tuple[tuple[_Digest, _Format], ...]
    picture_bytes: int


_REMOVAL: Final = TypeAdapter(Removal)


def plan_removal(root: Root, sweep_id: str, name: str) -> Removal:
    """Return what the removal of a sweep would take away; changes nothing."""
    import pyarrow.compute as pc

    catalog = root.catalog
    edition = catalog.ledger("sweeps").sync().editions.get(sweep_id, 0)
    sweeps = catalog.read("sweeps", ["sweep_id", "cell_id"])
    mine = pc.equal(sweeps["sweep_id"], sweep_id)
    cells = set(sweeps.filter(mine)["cell_id"].to_pylist())
    own = cells.difference(sweeps.filter(pc.invert(mine))["cell_id"].to_pylist())
    sizes: dict[tuple[str, str], int] = {}
    for table, columns in _PICTURES.items():
        for row in catalog.read(table, columns, where=("cell_id", own)).to_pylist():
            if row["picture_digest"] is not None:
                sizes[row["picture_digest"], row.get("picture_format", "png")] = row["picture_bytes"] or 0
    named = Names(catalog, without=own).pictures([digest for digest, _ in sizes])
    sizes = {picture: size for (picture, size), is_named in zip(sizes.items(), named, strict=True) if not is_named}
    ordered = tuple(sorted(own))
    return Removal(sweep_id, name, edition, len(cells), ordered, tuple(sorted(sizes)), sum(sizes.values()))


def remove(root: Root, removal: Removal) -> None:
    """Remove a sweep, and end every removal that has begun before; errors as `finish_removals`."""
    refuse_while_running(root.store)
    root.store.put(removal_key(removal.sweep_id), json.dumps(asdict(removal)).encode())
    finish_removals(root)


def finish_removals(root: Root) -> int:
    """End the removals that have begun and return their number.

    Raises:
        UserError: A sweep is running below the root, or a note of a removal is damaged.
    """
    refuse_while_running(root.store)
    notes = root.store.list(REMOVALS)
    for note in notes:
        try:
            removal = checked_json(_REMOVAL, root.store.get(note.key))
        except ValueError as error:
            hint = "delete it: the removal that it belongs to does not end, and nothing else depends on it"
            raise UserError(f"{root.store.url(note.key)} is damaged: {error}", hint=hint) from error
        _finish(root, removal)
        root.store.delete(note.key)
    return len(notes)


def _finish(root: Root, removal: Removal) -> None:
    """Take away what a removal says; every step may be done again."""
    catalog, store = root.catalog, root.store
    lists: list[str] = []
    if catalog.ledger("sweeps").sync().editions.get(removal.sweep_id, 0) == removal.edition:
        catalog.drop("sweeps", "sweep_id", {removal.sweep_id})
    named = catalog.read("sweeps", ["sweep_id", "cell_id"])
    unnamed = set(removal.cells).difference(named["cell_id"].to_pylist())
    if unnamed:
        for table in _TABLES:
            catalog.drop(table, "cell_id", unnamed)
        for table, key, column in _ABOUT_CELLS:
            about = catalog.read(table, [key, column], where=(column, unnamed))
            if about.num_rows:
                catalog.drop(table, key, set(about[key].to_pylist()))
    kept = Names(catalog).pictures([digest for digest, _ in removal.pictures])
    gone = [picture for picture, is_kept in zip(removal.pictures, kept, strict=True) if not is_kept]
    keys = [key for digest, form in gone for key in (picture_key(digest, form), thumbnail_key(digest))]
    clips = [digest for digest, form in gone if form in _CLIPS]
    keys += [copy_key(digest, content=content) for digest in clips for content in (False, True)]
    if removal.sweep_id not in named["sweep_id"].to_pylist():
        keys += [stat.key for stat in store.list(page_folder(removal.name, removal.sweep_id) + "/")]
        keys.append(manifest_key(removal.name, removal.sweep_id))
        keys += claims_of_sweep(store, removal.sweep_id)
        keys += heartbeats_of_sweep(store, removal.sweep_id)
        keys += plans_of_sweep(store, removal.sweep_id)
        keys.append(withdrawal_key(removal.sweep_id))
        keys += hindrance_keys(store, removal.sweep_id)
        pages, lists = _pages_together(store, removal.sweep_id)
        keys += pages
    ledger = catalog.ledger("results")
    for stats in ledger.each(store.list, [previews(cell_id) for cell_id in sorted(unnamed)]):
        keys += [stat.key for stat in stats]  # of cells that did not end, too, whose rows say nothing
    ledger.delete(keys)
    ledger.delete(lists)  # last, so that the next call finds the pages again if this one dies before


def _pages_together(store: Store, sweep_id: str) -> tuple[list[str], list[str]]:
    """Return the keys of the pages of several sweeps that show this one, and of the lists that say so.

    `nst gallery` writes these pages again without the sweep.
    """
    keys = [stat.key for stat in store.list(TOGETHER)]
    lists = [key for key in keys if key.endswith(f"/{SHOWN_SWEEPS}") and f'"{sweep_id}"' in store.get(key).decode()]
    folders = {key.removesuffix(SHOWN_SWEEPS) for key in lists}
    return [key for key in keys if key not in lists and key.startswith(tuple(folders))], lists
