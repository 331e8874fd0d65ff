"""The catalog's rows about a cell: identity, inputs, every parameter, losses, failures. No tensors, no storage.

The keys are the columns of `tasks.catalog.schema`; a key that is not a column raises, since it is a bug.
"""

from __future__ import annotations

import hashlib
import json
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from nst.config.video import OF_CLIPS
from nst.errors import NstError
from nst.identity import address
from tasks.catalog.columns import LAYERS
from tasks.catalog.parameters import flatten

_TRACEBACK_LINES: Final = 12
"""Lines of traceback that the row of an unexpected failure keeps."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.records import Cell, CellLosses, StyleRef, TraceRecord
    from tasks.jobs import Job


def identity_columns(job: Job, cell: Cell) -> dict[str, Any]:
    """Return the columns that identify a cell and its inputs, shared by `results` and `failures`."""
    content, style = cell.content, recorded_style(cell)
    return {
        "cell_id": cell.cell_id,
        "address": address(cell),
        "sweep_id": job.sweep_id,
        "sweep_name": job.sweep_name,
        "batch_id": job.batch.batch_id,
        "attempt": cell.attempt,
        "method_version": cell.config.version,
        "content_name": content.name if content else None,
        "content_uri": (content.uri or None) if content else None,
        "content_digest": (content.digest or None) if content else None,
        "content_mask_uri": content.mask.uri if content and content.mask else None,
        "content_mask_digest": content.mask.digest if content and content.mask else None,
        "init_digest": cell.start.digest if cell.start else None,
        "style_name": style.name if style else None,
        "style_uris": to_json([image.uri for image in style.images]) if style else None,
        "style_digests": to_json([image.digest for image in style.images]) if style else None,
        "style_mask_uris": _masks(style, "uri") if style else None,
        "style_mask_digests": _masks(style, "digest") if style else None,
        "style_weights": to_json(style.weights) if style else None,
        "style_scales": to_json(style.scales) if style and style.scales else None,
        "style_mix": style.mix if style and len(style.images) > 1 else None,
        "weights_digest": job.batch.weights_digest or (cell.model.digest if cell.model else None) or None,
        "model_id": cell.model.model_id if cell.model else None,
        "finish_model_id": cell.finish.model_id if cell.finish else None,
        "finish_digest": (cell.finish.digest or None) if cell.finish else None,
        **_settings(cell),
    }


def _settings(cell: Cell) -> dict[str, Any]:
    """Return the settings of a cell by column; those of clips only for a clip."""
    settings = flatten(cell.config)
    if cell.content and cell.content.clip:
        return settings
    return {name: value for name, value in settings.items() if not name.startswith(OF_CLIPS)}


def recorded_style(cell: Cell) -> StyleRef | None:
    """Return the style of a cell, or else that for which its network was trained, where it is known."""
    return cell.style or (cell.model.style if cell.model else None)


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


def _masks(style: StyleRef, what: Literal["uri", "digest"]) -> str | None:
    masks = [getattr(image.mask, what, None) for image in style.images]
    return to_json(masks) if any(masks) else None


def to_json(value: Any) -> str:
    """Return a list or mapping as the catalog's columns hold it: JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
