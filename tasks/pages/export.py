"""Writes the pictures of a sweep into a folder under readable names, with a CSV of their rows."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.errors import InputError
from tasks.catalog import parameters
from tasks.layout import picture_key

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tasks.catalog import Catalog

_LONGEST_NAME: Final = 150


def sweep_rows(
    catalog: Catalog, sweep_id: str, table: str = "results", *, how: Literal["inner", "left"] = "inner"
) -> pd.DataFrame:
    """Return the rows of a sweep's cells, in the order and under the names of its manifest.

    Args:
        catalog: The catalog of the root.
        sweep_id: Id of the sweep; the rows themselves may come from other sweeps with the same cells.
        table: `results` or `failures`.
        how: "left" keeps cells without a row; the columns of the table are empty then.
    """
    import pyarrow.compute as pc

    names = ["content_name", "style_name"]
    cells = catalog.read("sweeps", ["sweep_id", "cell_id", "position", *names])
    cells = cells.filter(pc.equal(cells["sweep_id"], sweep_id)).drop_columns("sweep_id")
    rows = catalog.read(table)
    rows = rows.filter(pc.is_in(rows["cell_id"], cells["cell_id"].combine_chunks())).drop_columns(names)
    merged: pd.DataFrame = cells.to_pandas().merge(rows.to_pandas(), on="cell_id", how=how)
    return merged.sort_values("position", ignore_index=True)


def varying(rows: pd.DataFrame) -> list[str]:
    """Return the parameter columns that take more than one value in these rows, the method first.

    With several methods, a column counts only if it varies within one of them: the method explains the rest.
    """
    groups = [group for _, group in rows.groupby("method", sort=False)]
    found = [
        column.name for column in parameters.columns() if any(len(group[column.name].unique()) > 1 for group in groups)
    ]
    return ["method", *found] if len(groups) > 1 else found


def export_sweep(catalog: Catalog, sweep_id: str, folder: Path) -> int:
    """Write every picture of a sweep and `catalog.csv`; return the number of pictures.

    Raises:
        InputError: No cell of the sweep is done yet, or the folder cannot be written.
    """
    rows = sweep_rows(catalog, sweep_id)
    if rows.empty:
        raise InputError("nothing of this sweep is done yet")
    names = file_names(rows)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, digest, form in zip(names, rows.picture_digest, rows.picture_format, strict=True):
            (folder / name).write_bytes(_picture(catalog, picture_key(digest, form)))
        rows.insert(0, "file", names)
        rows.dropna(axis="columns", how="all").to_csv(folder / "catalog.csv", index=False)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    return len(names)


def _picture(catalog: Catalog, key: str) -> bytes:
    try:
        return catalog.store.get(key)
    except FileNotFoundError as error:
        raise InputError(
            f"{catalog.store.url(key)} is missing", hint="nst fsck lists everything that is missing"
        ) from error


def file_names(rows: pd.DataFrame) -> list[str]:
    """Return one readable, unique, portable file name per row: content, style, and the parameters that vary."""
    import pandas as pd

    columns = varying(rows)
    stems = []
    for row in rows.to_dict("records"):
        # A missing name is None or NaN: pandas decides by what else the column holds.
        parts = [row[key] for key in ("content_name", "style_name") if isinstance(row[key], str)]
        parts += [f"{column}={short(row[column])}" for column in columns if not pd.isna(row[column])]
        parts = parts or [row["method"]]
        stems.append(re.sub(r"[^\w=.+-]+", "-", "__".join(parts))[:_LONGEST_NAME])
    seen = Counter(stems)
    return [
        f"{stem if seen[stem] == 1 else f'{stem}__{cell_id[:8]}'}.{'jpg' if kind == 'jpeg' else kind}"
        for stem, cell_id, kind in zip(stems, rows.cell_id, rows.picture_format, strict=True)
    ]


def short(value: Any) -> str:
    """Return a value as file names and labels show it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
