"""The votes and annotations below a root as pandas tables, and the ranking that the votes come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from nst.bradley_terry import fit
from nst.errors import InputError
from nst.yaml.json_text import from_json
from tasks.pages.choices import latest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from tasks.catalog import Catalog

_MOST_ITEMS: Final = 3000
"""Of a ranking: the time that it takes grows with the third power of their number; 3,000 take half a minute."""


def votes_frame(catalog: Catalog) -> pd.DataFrame:
    """Return all votes, the oldest first."""
    frame: pd.DataFrame = catalog.read("votes").to_pandas()
    return frame


def annotations_frame(catalog: Catalog) -> pd.DataFrame:
    """Return the latest annotation of each cell, its tags as a list."""
    import pandas as pd

    rows = [{**row, "tags": from_json(row["tags"] or "[]")} for row in latest(catalog)]
    columns = list(catalog.ledger("annotations").table.columns)
    return pd.DataFrame(rows, columns=columns).sort_values("annotated_at", ignore_index=True)


def ranking_frame(catalog: Catalog, by: str, sweep_id: str | None = None, prior: float = 1.0) -> pd.DataFrame:
    """Return how strong each value of a column is by the votes, the strongest first.

    Args:
        catalog: The catalog of the root.
        by: A column of `results`: `cell_id`, or one of settings or names, of which the votes count whose cells differ
            in it, whatever else they differ in.
        sweep_id: Id of the sweep whose cells alone count; None for all.
        prior: As `nst.bradley_terry.fit`.

    Raises:
        InputError: There is no such column, or too many values.
    """
    import pandas as pd

    values = _values(catalog, by, sweep_id)
    votes = catalog.read("votes", ["left_cell_id", "right_cell_id", "preferred"]).to_pylist()
    both = ((values.get(vote["left_cell_id"]), values.get(vote["right_cell_id"]), vote["preferred"]) for vote in votes)
    pairs = [pair for pair in both if None not in pair and pair[0] != pair[1]]
    found: set[Any] = {value for pair in pairs for value in pair[:2]}
    items = sorted(found)
    if len(items) > _MOST_ITEMS:
        raise InputError(f"{by!r} has {len(items):,} values with votes", hint="rank by a setting, or within one sweep")
    place = {value: number for number, value in enumerate(items)}
    wins, ties = np.zeros((len(items),) * 2), np.zeros((len(items),) * 2)
    for left, right, preferred in pairs:
        i, j = place[left], place[right]
        if preferred == "tie":
            ties[i, j] += 1
            ties[j, i] += 1
        else:
            wins[(i, j) if preferred == "left" else (j, i)] += 1
    strengths, errors = fit(wins + ties / 2, prior)
    table = pd.DataFrame(
        {
            by: items,
            "strength": strengths,
            "standard_error": errors,
            "wins": wins.sum(1).astype(int),
            "losses": wins.sum(0).astype(int),
            "ties": ties.sum(1).astype(int),
        }
    )
    return table.sort_values("strength", ascending=False, ignore_index=True)


def _values(catalog: Catalog, by: str, sweep_id: str | None) -> Mapping[str, Any]:
    """Return the value of a column by the ids of the cells that have one."""
    if by not in catalog.ledger("results").table.columns:
        raise InputError(f"results have no column {by!r}", hint="`nst schema --catalog` lists them")
    if sweep_id is None:
        table = catalog.read("results", list(dict.fromkeys(["cell_id", by])))
    else:
        cells = catalog.read("sweeps", ["sweep_id", "cell_id"], where=("sweep_id", {sweep_id}))["cell_id"].to_pylist()
        table = catalog.read("results", list(dict.fromkeys(["cell_id", by])), where=("cell_id", set(cells)))
    return dict(zip(table["cell_id"].to_pylist(), table[by].to_pylist(), strict=True))
