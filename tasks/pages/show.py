"""Finds the manifest of a picture's file, or of a cell by its id: `nst show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from nst.pictures.images import read_provenance
from nst.pictures.xmp import manifest_in
from tasks.layout import picture_key
from tasks.pages.cell_manifest import manifest_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.root import Root

_LEAST: Final = 4
"""Characters of an id that must be named."""


def manifest_of(root: Root, wanted: str) -> str:
    """Return the manifest that makes a picture again.

    Args:
        root: The root; not looked at for a picture that carries its manifest, as those do that `nst export` wrote.
        wanted: Path of a picture that nst made, or the beginning of a cell's id.

    Raises:
        InputError: It is neither, or the root does not know the cell.
    """
    if (file := Path(wanted)).is_file():
        data = file.read_bytes()
        if text := manifest_in(data):
            return text
        cell = read_provenance(data).get("cell_id", "")
        if not cell:
            raise InputError(f"{wanted} does not tell what made it", hint="expected a picture that nst made")
        return manifest_text_of(root, cell_row(root, cell))
    if len(wanted) < _LEAST:
        raise InputError(f"found {wanted!r}, expected a file or at least {_LEAST} characters of a cell's id")
    return manifest_text_of(root, cell_row(root, wanted))


def manifest_text_of(root: Root, row: Mapping[str, Any]) -> str:
    """Return the manifest of a row of `results` or `failures`."""
    digest, form = row.get("picture_digest"), row.get("picture_format")
    try:
        return manifest_text(row, root.store.get(picture_key(digest, str(form))) if digest else b"")
    except FileNotFoundError:
        return manifest_text(row)


def cell_row(root: Root, wanted: str) -> dict[str, Any]:
    """Return the row of the cell whose id begins so: its result, or else its last failure; errors as `manifest_of`."""
    catalog = root.catalog
    for table in ("results", "failures"):
        found = sorted(cell for cell in catalog.keys(table) if cell.startswith(wanted))
        if len(found) > 1:
            shown = ", ".join(cell[: len(wanted) + 4] for cell in found[:5])
            raise InputError(f"{len(found)} cells begin with {wanted!r}", hint=f"name more of the id: {shown}")
        if found:
            rows: list[dict[str, Any]] = catalog.read(table, where=("cell_id", {found[0]})).to_pylist()
            return rows[-1]
    raise InputError(
        f"there is no cell {wanted!r} below {root.uri}", hint="expected the beginning of its id, or a file"
    )
