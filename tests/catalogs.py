"""Catalogs with rows that a test gives, without pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.catalog import Catalog
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def voted(folder: Path, cells: list[dict[str, Any]], votes: pd.DataFrame) -> Catalog:
    """Return a catalog with cells as `results`, and the votes that a page exported."""
    catalog = Catalog(open_store(folder))
    wanted = ("cell_id", "content_name", "style_name", "method", "style_weight")
    catalog.commit("results", "s", "b", [{key: cell[key] for key in wanted} for cell in cells])
    rows = votes.assign(voted_at=votes.voted_at.astype("datetime64[us, UTC]")).to_dict("records")
    catalog.commit("votes", "pages", "v", rows)
    return catalog
