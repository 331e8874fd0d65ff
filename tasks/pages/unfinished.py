"""The settings of cells that are not done, from the manifest that the root keeps of their sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nst.config.video import OF_CLIPS
from nst.errors import NstError
from nst.manifest.sweep import parse_manifest
from tasks.catalog.parameters import flatten
from tasks.layout import manifest_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.status import SweepStatus
    from tasks.store import Store


def fill_settings(store: Store, status: SweepStatus, rows: Sequence[dict[str, Any]]) -> None:
    """Write the settings of cells into their rows where nothing is known of them but their images.

    The inputs are not looked for again, so that this works without them. Cells are numbered by contents, then styles,
    then variants: where each pair of images has as many cells as there are variants, none was left out or merged with
    another, and the variant follows from the number. Other sweeps are left as they are.

    Args:
        store: The store of the root.
        status: The sweep.
        rows: The first rows of its cells (`tasks.pages.rows.sweep_table`).
    """
    undone = [row for row in rows if row.get("method") is None]
    if not undone:
        return
    try:
        text = store.get(manifest_key(status.name, status.sweep_id)).decode()
        variants = parse_manifest(text, "manifest").variants
    except (OSError, ValueError, NstError):
        return
    counts: dict[tuple[Any, Any], int] = {}
    for row in rows:
        pair = row.get("content_name"), row.get("style_name")
        counts[pair] = counts.get(pair, 0) + 1
    if set(counts.values()) != {len(variants)}:
        return
    first = {row["cell_id"]: row["position"] for row in reversed(rows)}  # a cell may have further names, later
    for row in undone:
        settings = flatten(variants.config(first[row["cell_id"]] % len(variants)))
        row |= {name: value for name, value in settings.items() if not name.startswith(OF_CLIPS)}
