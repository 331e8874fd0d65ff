"""The columns that say what a cell is: its identity, its inputs, every setting. They are known before it is run.

The keys are the columns of `tasks.catalog.schema`; a key that is not a column raises, since it is a bug.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from nst.config.video import OF_CLIPS
from nst.identity import address
from tasks.catalog.parameters import flatten

if TYPE_CHECKING:
    from nst.records import Cell, StyleRef
    from tasks.jobs import Job


def identity_columns(job: Job, cell: Cell) -> dict[str, Any]:
    """Return the columns that identify a cell and its inputs, shared by `results` and `failures`."""
    return {
        "cell_id": cell.cell_id,
        "address": address(cell),
        "sweep_id": job.sweep_id,
        "sweep_name": job.sweep_name,
        "batch_id": job.batch.batch_id,
        "attempt": cell.attempt,
        **input_columns(cell),
        "weights_digest": job.batch.weights_digest or (cell.model.digest if cell.model else None) or None,
    }


def input_columns(cell: Cell) -> dict[str, Any]:
    """Return the columns that say what a cell is made from, images and settings, whoever runs it."""
    content, style = cell.content, recorded_style(cell)
    return {
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


def _masks(style: StyleRef, what: Literal["uri", "digest"]) -> str | None:
    masks = [getattr(image.mask, what, None) for image in style.images]
    return to_json(masks) if any(masks) else None


def to_json(value: Any) -> str:
    """Return a list or mapping as the catalog's columns hold it: JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
