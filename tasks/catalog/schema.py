"""The tables of the catalog: one list of described, typed columns each. Imports pyarrow only when asked for a schema.

To add a column, add it to `columns.py` (settings of a method need nothing: they are generated). To add a table, add an
entry to `SCHEMAS`. Old files stay as they are: readers see null in a column that a file lacks, and the next publish
writes a new schema anchor. A column is never removed and its type never changes.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.config.judgement import JUDGEMENTS, NEUTRAL
from nst.config.scores import noted
from tasks.catalog import columns as fixed
from tasks.catalog import model_columns, parameters, run_columns
from tasks.catalog.columns import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Table:
    """A table of the catalog.

    Attributes:
        name: Its folder below `catalog/`.
        description: One line for the reference.
        make_columns: Returns its columns.
        sort: Columns that the rows of a file are sorted by.
        key: Column that concurrent publishers keep unique, or None if every committed row counts.
        unique: `row`: one row per key; `record`: all rows of a key come from the record that was claimed first.
    """

    name: str
    description: str
    make_columns: Callable[[], tuple[Column, ...]]
    sort: tuple[str, ...]
    key: str | None = None
    unique: Literal["row", "record"] = "row"

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The columns by name, in order.

        Raises:
            ValueError: A setting or a metric has the name of another column.
        """
        found: dict[str, Column] = {}
        for column in self.make_columns():
            if column.name in found:
                raise ValueError(f"table {self.name!r} has two columns {column.name!r}: rename the setting or metric")
            found[column.name] = column
        return found

    def arrow(self, *, described: bool = False) -> Any:
        """Return the `pyarrow.Schema`; `described` adds every description to the metadata of its field."""
        import pyarrow as pa

        types = {
            "string": pa.string(),
            "int64": pa.int64(),
            "float64": pa.float64(),
            "bool": pa.bool_(),
            "timestamp": pa.timestamp("us", tz="UTC"),
        }
        return pa.schema(
            pa.field(c.name, types[c.type], metadata={"description": c.description} if described else None)
            for c in self.columns.values()
        )


def metrics() -> tuple[Column, ...]:
    """Return a column per image metric."""
    # A late import: it loads numpy and an image library.
    found: dict[str, str] = importlib.import_module("nst.pictures.metrics").METRICS
    return tuple(Column(name, "float64", noted(name, text)) for name, text in found.items())


def judgements(descriptions: Mapping[str, str] = JUDGEMENTS) -> tuple[Column, ...]:
    """Return a column per judgement."""
    return tuple(Column(name, "float64", noted(name, text)) for name, text in descriptions.items())


def _results() -> tuple[Column, ...]:
    before = (*fixed.IDENTITY, *parameters.columns(), *fixed.LOSSES)
    judged = (*judgements(NEUTRAL), *fixed.JUDGE)
    return (*before, *metrics(), *fixed.RUN, *fixed.WORKPLACE, *fixed.PICTURE, *judged, *fixed.CLIP)


def _judgements() -> tuple[Column, ...]:
    return (*fixed.JUDGEMENT, *judgements(), *fixed.JUDGE)


def _failures() -> tuple[Column, ...]:
    return (*fixed.IDENTITY, *parameters.columns(), *fixed.WORKPLACE, *fixed.FAILURE)


def _models() -> tuple[Column, ...]:
    workplace = tuple(column for column in fixed.WORKPLACE if column.name != "worker")
    before = (*model_columns.MODEL, *model_columns.settings(), *model_columns.OUTCOME)
    return (*before, *_validation(), *model_columns.RUN, *workplace, *model_columns.FILES)


def _validation() -> tuple[Column, ...]:
    found: dict[str, str] = importlib.import_module("nst.pictures.fidelity").FIDELITY  # late, as in `metrics`
    measured = (*metrics(), *(Column(name, "float64", text) for name, text in found.items()))
    return tuple(
        Column(f"validation_{c.name}", c.type, f"Mean over the validation pictures. {c.description}") for c in measured
    )


SCHEMAS: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        Table("results", "exactly one row per done cell", _results, sort=("cell_id",), key="cell_id"),
        Table("failures", "one row per failed attempt", _failures, sort=("cell_id", "attempt", "failed_at")),
        Table("sweeps", "the cells of every submitted sweep", lambda: fixed.SWEEPS, sort=("sweep_id", "position")),
        Table(
            "traces",
            "losses along the steps of every cell and of every training",
            lambda: fixed.TRACES,
            sort=("cell_id", "level", "step"),
            key="cell_id",
            unique="record",
        ),
        Table(
            "frames",
            "one row per frame of every clip",
            lambda: fixed.FRAME,
            sort=("cell_id", "pass", "frame"),
            key="frame_key",
        ),
        Table(
            "judgements",
            "one row per picture and judge: what `nst judge` said, later than the run",
            _judgements,
            sort=("cell_id", "judged_at"),
            key="judgement_id",
        ),
        Table(
            "votes",
            "one row per blind vote between two pictures, cast on a page",
            lambda: fixed.VOTE,
            sort=("voted_at", "vote_id"),
            key="vote_id",
        ),
        Table(
            "annotations",
            "one row for each time that somebody marked a cell on a page as a favourite, tagged it or wrote a note",
            lambda: fixed.ANNOTATION,
            sort=("cell_id", "annotated_at"),
            key="annotation_id",
        ),
        Table("models", "one row per trained model", _models, sort=("model_id",), key="model_id"),
        Table(
            "runs",
            "one row for each time that a process did something of a sweep or a training, written at its end",
            lambda: run_columns.PARTICIPATION,
            sort=("started_at", "run_id"),
            key="run_id",
        ),
    )
}
"""Every table by name."""
