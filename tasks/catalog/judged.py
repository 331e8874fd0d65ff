"""Joins later judgements to the rows of `results`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.judgement import JUDGEMENTS
from tasks.catalog.columns import JUDGE

if TYPE_CHECKING:
    import pyarrow as pa

    from tasks.catalog import Catalog

COLUMNS = (*JUDGEMENTS, *(column.name for column in JUDGE), "vgg_neutral")
"""The columns that a judgement brings to a row."""


def judged(catalog: Catalog, results: pa.Table) -> pa.Table:
    """Return rows of `results` with the best judgement of each picture in the place of what the run recorded.

    The best judgement is the one with the most values, and of several such the newest. A row that was not judged later
    keeps what its run recorded. The columns `vgg_neutral`, `cfsd_content` and
    `e_statistic`, which only later judgements have, come last.

    Args:
        catalog: The catalog of the root.
        results: Rows with `cell_id` and `picture_digest`; in the same order they are returned.
    """
    import pyarrow as pa

    wanted = set(results["cell_id"].to_pylist())
    found = catalog.read("judgements", where=("cell_id", wanted)).to_pylist()
    found.sort(key=lambda row: (sum(row[name] is not None for name in JUDGEMENTS), row["judged_at"]))
    best = {(row["cell_id"], row["picture_digest"]): row for row in found}
    keys = zip(results["cell_id"].to_pylist(), results["picture_digest"].to_pylist(), strict=True)
    judgements = [best.get(key) for key in keys]
    types = {field.name: field.type for field in catalog.ledger("judgements").table.arrow()}
    for name in COLUMNS:
        recorded = results[name].to_pylist() if name in results.column_names else [None] * len(judgements)
        values = [row[name] if row else old for row, old in zip(judgements, recorded, strict=True)]
        column = pa.array(values, types[name])
        place = results.schema.get_field_index(name)
        if place < 0:
            results = results.append_column(name, column)
        else:
            results = results.set_column(place, results.schema[place], column)
    return results
