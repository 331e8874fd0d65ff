"""The cells of a sweep as its contact sheet shows them: their thumbnails, or why there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError
from tasks.layout import thumbnail_key
from tasks.pages.contact_sheet import SheetCell
from tasks.pages.rows import short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.store import Store

SHEET_CELLS: Final = 144
"""Cells on a contact sheet; the first ones of a sweep."""


def sheet_cell(store: Store, row: Mapping[str, Any], labels: Sequence[str]) -> SheetCell:
    """Return a row as the sheet shows it.

    Args:
        store: Where the thumbnails lie.
        row: A row of `tasks.pages.rows.sweep_table`.
        labels: The settings to be named, with their values.
    """
    done = row["picture_uri"] is not None
    label = ", ".join(f"{name}={short(row[name])}" for name in labels if row.get(name) is not None)
    picture, error = None, ""
    if done:
        try:
            picture = store.get(thumbnail_key(row["picture_digest"]))
        except (FileNotFoundError, NstError) as problem:
            error = f"thumbnail: {problem}"
    elif row.get("error_class") is not None:
        error = f"{row['error_class']}: {row['error_message']}"
    frames = row.get("clip_frames") if done else None
    mark = f"{int(frames):,} frames, {row['clip_seconds']:.3g} s" if frames else ""
    return SheetCell(row["content_name"] or "", row["style_name"] or "", label, picture, error, mark)
