"""The losses of the cells of a page along their steps, in a file beside it that is loaded when somebody asks for it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.catalog import Catalog

MOST_CELLS: Final = 2_000
"""Cells whose losses a page can show; more lines cannot be told apart."""

_POINTS: Final = 100
"""Points of one line."""


def traces(catalog: Catalog, rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a script that hands the page its losses, {id of a cell: [steps, losses]}; "" where there are none.

    Steps without a finite loss are left out. Of a long optimisation every so many steps are taken, the last among them.
    """
    done = {row["cell_id"] for row in rows if row["picture_uri"] is not None}
    if not done or len(done) > MOST_CELLS:
        return ""
    table = catalog.read("traces", ["cell_id", "step", "loss"], where=("cell_id", done))
    table = table.sort_by([("cell_id", "ascending"), ("step", "ascending")])
    found: dict[str, tuple[list[int], list[float]]] = {}
    for cell_id, step, loss in zip(*(table[name].to_pylist() for name in table.column_names), strict=True):
        if loss is not None and math.isfinite(loss):
            steps, losses = found.setdefault(cell_id, ([], []))
            steps.append(step)
            losses.append(float(f"{loss:.5g}"))
    if not found:
        return ""
    thinned = {cell_id: [_thinned(steps), _thinned(losses)] for cell_id, (steps, losses) in found.items()}
    return f"nstTraces({json.dumps(thinned, separators=(',', ':'))})\n"


def _thinned(values: list[Any]) -> list[Any]:
    every = math.ceil(len(values) / _POINTS)
    return values[::-1][::every][::-1]
