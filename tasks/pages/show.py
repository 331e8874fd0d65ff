"""Finds the manifest of a picture's file, or of a cell by its id: `nst show`."""

from __future__ import annotations

import hashlib
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
        wanted: Path of a picture or clip that nst made, or the beginning of a cell's id.

    Raises:
        InputError: It is neither, or the root does not know the cell.
    """
    if (file := Path(wanted)).is_file():
        text, cell = _carried(data := file.read_bytes())
        return text or manifest_text_of(root, cell_row(root, cell or _cell_with(root, data, wanted)))
    if len(wanted) < _LEAST:
        raise InputError(f"found {wanted!r}, expected a file or at least {_LEAST} characters of a cell's id")
    return manifest_text_of(root, cell_row(root, wanted))


def _carried(data: bytes) -> tuple[str, str]:
    """Return the manifest and the id of its cell that a file carries, "" for what it does not."""
    try:
        return manifest_in(data), read_provenance(data).get("cell_id", "")
    except InputError:  # no still: clips carry nothing
        return "", ""


def _cell_with(root: Root, data: bytes, name: str) -> str:
    """Return the id of a cell whose picture has exactly these bytes, as exported clips have."""
    same = ("picture_digest", {hashlib.sha256(data).hexdigest()})
    if found := root.catalog.read("results", ["cell_id"], where=same)["cell_id"].to_pylist():
        return str(found[0])
    found_text = f"{name} does not tell what made it, and is no clip below {root.uri}"
    raise InputError(found_text, hint="expected a picture that nst made; --root names another root")


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
