"""The rows of a sweep as its manifest orders and names them, for its page and its export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tasks.catalog import parameters
from tasks.catalog.cells import input_columns
from tasks.catalog.judged import judged
from tasks.layout import picture_key, thumbnail_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    import pyarrow as pa

    from tasks.catalog import Catalog
    from tasks.planning.sweep import PreparedSweep
    from tasks.store import Store

_NAMES = ("content_name", "style_name")
_TRAINED = "trained_style_name"


def sweep_rows(
    catalog: Catalog,
    sweep_id: str,
    table: str = "results",
    *,
    how: Literal["inner", "left"] = "inner",
    limit: int | None = None,
) -> pd.DataFrame:
    """Return the rows of a sweep's cells, in the order and under the names of its manifest.

    A cell without a style in the manifest has the name of the style that its network was trained for, as in its row.

    Columns that are null in all these rows are left out: of the hundreds of columns a sweep fills some dozens.

    Args:
        catalog: The catalog of the root.
        sweep_id: Id of the sweep; the rows themselves may come from other sweeps with the same cells.
        table: `results` or `failures`.
        how: "left" keeps cells without a row; the columns of the table are empty then.
        limit: Only the first cells of the manifest, this many; None for all.
    """
    names = ["sweep_id", "cell_id", "position", *_NAMES]
    cells = catalog.read("sweeps", names, where=("sweep_id", {sweep_id})).sort_by("position").drop_columns("sweep_id")
    cells = cells if limit is None else cells.slice(0, limit)
    rows = catalog.read(table, where=("cell_id", set(cells["cell_id"].to_pylist()))).drop_columns("content_name")
    rows = judged(catalog, rows) if table == "results" else rows
    rows = rows.rename_columns({"style_name": _TRAINED})
    merged: pd.DataFrame = cells.to_pandas().merge(_filled(rows).to_pandas(), on="cell_id", how=how)
    merged["style_name"] = merged.style_name.where(merged.style_name.notna(), merged.pop(_TRAINED))
    return merged.sort_values("position", ignore_index=True)


def _filled(rows: pa.Table) -> pa.Table:
    needed = {"cell_id", _TRAINED, "method", "attempt", "picture_uri", "picture_digest", "error_class", "error_message"}
    return rows.select([name for name in rows.column_names if name in needed or rows[name].null_count < rows.num_rows])


def sweep_table(catalog: Catalog, sweep_id: str, limit: int | None = None) -> pd.DataFrame:
    """Return one row per cell of a sweep in the manifest's order: its result, or else its last failed attempt.

    Args:
        catalog: The catalog of the root.
        sweep_id: Id of the sweep.
        limit: Only the first cells, this many; None for all.
    """
    results = sweep_rows(catalog, sweep_id, how="left", limit=limit).set_index("position")
    failures = sweep_rows(catalog, sweep_id, "failures", limit=limit).sort_values(["position", "attempt"])
    failures = failures.drop_duplicates("position", keep="last").set_index("position")
    undone = failures.index.intersection(results.index[results.picture_uri.isna()])
    columns = results.columns.union(failures.columns, sort=False)
    table = results.reindex(columns=columns).astype(object)
    table.loc[undone] = failures.loc[undone].reindex(columns=columns).astype(object)
    return table.reset_index()


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries, with None for what is missing."""
    plain = table.astype(object).where(table.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def planned_rows(prepared: PreparedSweep, limit: int) -> list[dict[str, Any]]:
    """Return the rows of a planned sweep as a page shows them; cells that are not done have their settings, too.

    Args:
        prepared: The plan.
        limit: Only the first cells, this many.
    """
    plan, root = prepared.plan, prepared.root
    rows = shown_rows(root.store, records(sweep_table(root.catalog, plan.sweep_id, limit)))
    numbers = {cell_id: number for number, cell_id in enumerate(plan.cells.ids)}
    for row in rows:
        number = numbers.get(row["cell_id"])
        if row["picture_uri"] is None and number is not None:
            cell = plan.cells.cell(number)
            row |= {name: value for name, value in input_columns(cell).items() if row.get(name) is None}
            if cell.content and (clip := cell.content.clip):
                row |= {f"clip_{key}": getattr(clip, key) for key in ("first", "last", "every")}
    return rows


def shown_rows(
    store: Store,
    rows: list[dict[str, Any]],
    located: Callable[[Mapping[str, Any]], tuple[str, str]] | None = None,
) -> list[dict[str, Any]]:
    """Return rows with the pictures where they lie now: the root may be a copy of the one that they were made in.

    Args:
        store: The store of the root.
        rows: Rows of a sweep's cells.
        located: Gives the URIs of the picture and of the thumbnail of a done row; by default those in the root.
    """

    def in_root(row: Mapping[str, Any]) -> tuple[str, str]:
        keys = picture_key(row["picture_digest"], row["picture_format"]), thumbnail_key(row["picture_digest"])
        return store.url(keys[0]), store.url(keys[1])

    for row in rows:
        if row["picture_uri"] is not None:
            row["picture_uri"], row["thumbnail_uri"] = (located or in_root)(row)
    return rows


def varying(rows: pd.DataFrame) -> list[str]:
    """Return the parameter columns that take more than one value in these rows, the method first.

    With several methods, a column counts only if it varies within one of them: the method explains the rest. Likewise,
    a column that follows from a setting which decides the defaults of others, such as the backbone's weights, tells
    nothing beside it.
    """
    groups = [group for _, group in rows.groupby("method", sort=False)]
    columns = [column.name for column in parameters.columns() if column.name in rows]
    found = [name for name in columns if any(len(group[name].unique()) > 1 for group in groups)]
    deciding = [name for name in found if name in parameters.deciding()]
    found = [name for name in found if name in deciding or not any(_follows(rows, name, other) for other in deciding)]
    return ["method", *found] if len(groups) > 1 else found


def _follows(rows: pd.DataFrame, column: str, other: str) -> bool:
    """Return whether a column has one value for each method and value of the other column."""
    groups = rows.groupby(["method", other], dropna=False)[column]
    return all(len(values.unique()) == 1 for _, values in groups)


def short(value: Any) -> str:
    """Return a value as file names and labels show it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
