"""The catalog's rows about a cell: losses, traces, failures. No tensors, no storage.

The keys are the columns of `tasks.catalog.schema`; a key that is not a column raises, since it is a bug.
"""

from __future__ import annotations

import hashlib
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from nst.errors import NstError
from tasks.catalog.cells import identity_columns, to_json
from tasks.catalog.columns import LAYERS

_TRACEBACK_LINES: Final = 12
"""Lines of traceback that the row of an unexpected failure keeps."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.method import Method
    from nst.records import Cell, CellLosses, TraceRecord
    from tasks.jobs import Job


def loss_columns(losses: CellLosses) -> dict[str, Any]:
    """Return the losses of the finished picture, total and per layer."""
    other: dict[str, float] = {}
    row: dict[str, Any] = {"loss": losses.loss}
    for name, term in losses.terms.items():
        row |= {f"{name}_loss": term.loss, f"{name}_weight_relative": term.weight_relative}
        for layer, value in term.layers.items():
            target = row if layer in LAYERS else other
            target[f"{name}_loss_{layer}"] = value
    return {**row, "other_layer_losses": to_json(other) if other else None}


def actual_columns(config: Method, size: tuple[int, int], cost: float, share: float) -> dict[str, Any]:
    """Return the columns that planning could only assume: the cost, and the size of a picture as large as its content.

    Args:
        config: The settings.
        size: Width and height at which the method worked.
        cost: The cost that the plan assumed.
        share: Share of the steps that were done.
    """
    columns = dict[str, Any]()
    if config.takes_original_size:
        width, height = size
        cost *= width * height / config.pixels
        columns["size"] = max(width, height) if config.resize == "long" else min(width, height)
    return {**columns, "cost": cost * share}


def trace_row(cell: Cell, record: TraceRecord) -> dict[str, Any]:
    """Return one row of the `traces` table."""
    return {
        "cell_id": cell.cell_id,
        "step": record.step,
        "level": record.level,
        "loss": record.loss,
        **{f"{name}_loss": value for name, value in record.parts.items()},
    }


def failure_row(job: Job, cell: Cell, error: BaseException, stage: str, workplace: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of the `failures` table.

    Args:
        job: The batch's job.
        cell: The cell that failed.
        error: What happened.
        stage: Where it failed: "read", "stylize", "write" or "worker".
        workplace: The columns about the worker, its software and the start of the batch, as far as they are known.
    """
    return {**identity_columns(job, cell), **workplace, **error_columns(error, stage)}


def error_columns(error: BaseException, stage: str) -> dict[str, Any]:
    """Return the columns about an error, with the end of its traceback if nst did not raise it on purpose."""
    where = ""
    if not isinstance(error, NstError):  # an expected fault explains itself; a bug needs its traceback
        where = "".join(traceback.format_exception(error)[-_TRACEBACK_LINES:])
    return {
        "error_class": type(error).__name__,
        "error_message": str(error),
        "error_where": f"{stage}\n{where}".strip(),
        "failed_at": datetime.now(UTC),
    }


def failures_id(job: Job) -> str:
    """Return the id of a batch's failures record; an attempt that is made twice because of a crash is one record."""
    attempts = ",".join(f"{cell.cell_id}:{cell.attempt}" for cell in job.batch.cells)
    return f"{job.batch.batch_id}-{hashlib.sha256(attempts.encode()).hexdigest()[:8]}"
