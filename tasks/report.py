"""The pages of a sweep: a contact sheet and a gallery below `<root>/gallery/<sweep>/`, made from the catalog alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError
from nst.images import decode, thumbnail
from tasks.contact_sheet import SheetCell, contact_sheet
from tasks.export import short, varying
from tasks.store.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from nst.records import ImageRef
    from tasks.catalog import Catalog
    from tasks.planning import Prepared
    from tasks.store import Store

_SHEET_CELLS: Final = 144
_TABLE_ROWS: Final = 200
"""Rows of the summary table on Prefect's page."""

_TABLE_COLUMNS: Final = ("content_name", "style_name", "style_loss", "content_loss", "ssim_content", "seconds")


@dataclass(frozen=True, slots=True)
class Page:
    """What a finished run shows.

    Attributes:
        uri: URI of the contact sheet.
        rows: A short table for Prefect's page.
        contact_sheet: The JPEG itself.
    """

    uri: str
    rows: list[dict[str, object]]
    contact_sheet: bytes


def report(prepared: Prepared) -> Page:
    """Write the contact sheet and the gallery of a sweep; what is there is replaced."""
    plan, store, catalog = prepared.plan, prepared.store, prepared.catalog
    cells = sweep_table(catalog, plan.sweep_id)
    labels = [name for name in varying(cells[cells.picture_uri.notna()]) if name in cells]
    shown = cells.head(_SHEET_CELLS)
    sheet = contact_sheet(
        [_sheet_cell(store, row, labels) for row in records(shown)],
        _headers(plan.cells.contents, set(shown.content_name)),
        _headers((style.images[0] for style in plan.cells.styles), None, [style.name for style in plan.cells.styles]),
        title=f"{plan.name}: {len(cells)} cells",
    )
    folder = f"gallery/{plan.name}-{plan.sweep_id[:8]}"
    store.put(f"{folder}/contact_sheet.jpg", sheet)
    done = cells[cells.picture_uri.notna()].head(_TABLE_ROWS)
    columns = [*_TABLE_COLUMNS, *labels]
    rows: list[dict[str, object]] = [
        {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
        for row in records(done[columns])
    ]
    return Page(store.url(f"{folder}/contact_sheet.jpg"), rows, sheet)


def sweep_table(catalog: Catalog, sweep_id: str) -> pd.DataFrame:
    """Return one row per cell of a sweep in the manifest's order: its result, or the error of its last attempt."""
    cells: pd.DataFrame = catalog.read("sweeps").to_pandas()
    cells = cells[cells.sweep_id == sweep_id].sort_values("position", ignore_index=True)
    cells = cells[["cell_id", "position", "content_name", "style_name"]]
    results = catalog.read("results").to_pandas().drop(columns=["content_name", "style_name"])
    table = cells.merge(results, on="cell_id", how="left")
    failures = catalog.read("failures", ["cell_id", "attempt", "error_class", "error_message"]).to_pandas()
    last = failures.sort_values("attempt").drop_duplicates("cell_id", keep="last").drop(columns="attempt")
    return table.merge(last, on="cell_id", how="left")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries."""
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _sheet_cell(store: Store, row: dict[str, Any], labels: list[str]) -> SheetCell:
    done = isinstance(row["picture_uri"], str)
    label = ", ".join(f"{name}={short(row[name])}" for name in labels) if done else ""
    picture, error = None, ""
    if done:
        try:
            picture = store.get(row["thumbnail_uri"].removeprefix(f"{store.uri}/"))
        except (FileNotFoundError, NstError) as problem:
            error = f"thumbnail: {problem}"
    elif isinstance(row["error_class"], str):
        error = f"{row['error_class']}: {row['error_message']}"
    else:
        error = "not done"
    return SheetCell(row["content_name"] or "", row["style_name"] or "", label, picture, error)


def _headers(images: Iterable[ImageRef], wanted: set[str] | None, names: list[str] | None = None) -> dict[str, bytes]:
    """Return small pictures of inputs by name; one that cannot be read is left out, its cells tell why."""
    headers = {}
    for number, image in enumerate(images):
        name = names[number] if names else image.name
        if wanted is not None and name not in wanted:
            continue
        try:
            headers[name] = thumbnail(decode(read_uri(image.uri)))
        except NstError:
            continue
    return headers
