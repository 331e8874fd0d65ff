"""The catalog's rows about a trained model, about the steps of its training, and about a training that failed."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any, Final

from nst.config.terms import PARTS
from tasks.catalog.cells import to_json
from tasks.catalog.parameters import compact, flatten
from tasks.models.choose import TRAINING_METHOD
from tasks.work.rows import error_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import numpy as np
    import torch

    from nst.pictures.images import Pixels
    from nst.planning.models import ModelSpec
    from nst.records import TrainingRecord
    from nst.training import Validation
    from tasks.jobs import TrainingJob
    from tasks.work.checkpoints import Progress
    from tasks.work.dataset import Dataset

_LOSSES: Final = ("loss", "content_loss", "style_loss", "tv_loss", "diversity_loss")


@dataclass(frozen=True, slots=True, eq=False)
class Finished:
    """A trained network and everything that its row says.

    Attributes:
        job: What was trained.
        steps: Steps done.
        progress: Loss curve, seconds, resumptions.
        dataset: The prepared photographs; None for families that learn without.
        styles: The style images.
        photographs: Number of photographs that it learned from, validation pictures left out.
        pictures: Validation pictures, shape (H, W, 3) each, uint8 RGB.
        validation: What the network makes of them, and their losses.
        weights: Tensors and metadata of the network.
        started: When this run of the training began.
        device: A torch device.
    """

    job: TrainingJob
    steps: int
    progress: Progress
    dataset: Dataset | None
    styles: Sequence[Pixels]
    photographs: int
    pictures: Sequence[np.ndarray]
    validation: Validation
    weights: tuple[dict[str, torch.Tensor], dict[str, str]]
    started: datetime
    device: str


def model_row(finished: Finished) -> dict[str, Any]:
    """Return the row of a trained model, the columns about its files left out."""
    from tasks.work.workplace import peak_memory, versions

    spec, progress = finished.job.spec, finished.progress
    config = spec.config
    last = progress.curve[-max(1, len(progress.curve) // 20) :]
    return {
        **_identity(spec),
        **{name: value for name, value in flatten(config).items() if value is not None},
        "colors": finished.weights[1].get("colors"),
        "config": config.model_dump_json(),
        "parent_model": spec.parent or None,
        "photographs": finished.photographs,
        "photographs_skipped": len(finished.dataset.skipped) if finished.dataset else 0,
        "steps_done": finished.steps,
        **{name: fmean(getattr(record, name) for record in last) for name in _LOSSES if last},
        "validation_pictures": len(finished.pictures),
        "validation_losses": compact(finished.validation.losses),
        **_measure(finished),
        **{f"validation_{name}": value for name, value in finished.validation.measures.items()},
        "seconds": progress.seconds,
        "images_per_second": finished.steps * config.batch_size / progress.seconds if progress.seconds else None,
        "resumed": progress.resumed,
        "peak_memory_bytes": peak_memory(finished.device),
        **versions(finished.device),
        "attempt": finished.job.attempt,
        "started_at": finished.started,
    }


def curve_rows(model_id: str, curve: Sequence[TrainingRecord]) -> list[dict[str, Any]]:
    """Return the rows of a training in the `traces` table."""
    return [
        {
            "cell_id": model_id,
            "step": record.step,
            "level": 0,
            **{name: getattr(record, name) for name in ("loss", *(f"{part}_loss" for part in PARTS))},
        }
        for record in curve
    ]


def failed_training_row(
    job: TrainingJob, error: BaseException, workplace: Mapping[str, Any], *, evidence: str = ""
) -> dict[str, Any]:
    """Return the row of a failed training in the `failures` table.

    Args:
        job: What was to be trained.
        error: What happened.
        workplace: The columns about the worker, its software and the start of the training, as far as they are known.
        evidence: URI of the last losses of an unhealthy training, "" for none.
    """
    spec = job.spec
    return {
        "model_id": spec.model_id,
        "sweep_name": spec.name,
        "method": TRAINING_METHOD,
        "method_version": spec.config.version,
        "style_name": "+".join(style.name for style in spec.styles)[:200],
        "style_uris": to_json([style.uri for style in spec.styles]),
        "style_digests": to_json([style.digest for style in spec.styles]),
        "weights_digest": spec.weights_digest,
        "attempt": job.attempt,
        **workplace,
        **error_columns(error, TRAINING_METHOD),
        "evidence_uri": evidence or None,
    }


def _identity(spec: ModelSpec) -> dict[str, Any]:
    masks = [style.mask for style in spec.styles if style.mask]
    return {
        "model_id": spec.model_id,
        "name": spec.name,
        "family_version": spec.config.version,
        "style_names": to_json([style.name for style in spec.styles]),
        "style_uris": to_json([style.uri for style in spec.styles]),
        "style_digests": to_json([style.digest for style in spec.styles]),
        "style_mask_uris": to_json([mask.uri for mask in masks]) if masks else None,
        "style_mask_digests": to_json([mask.digest for mask in masks]) if masks else None,
        "data_digest": spec.data_digest or None,
        "backbone_digest": spec.weights_digest,
    }


def _measure(finished: Finished) -> dict[str, float]:
    """Return the image metrics of the validation pictures, means over them."""
    from nst.pictures import metrics

    contents = finished.pictures if finished.dataset else [None] * len(finished.pictures)
    # With several styles no picture has a single style, so the pictures are measured without any.
    styles = [style.array for style in finished.styles] if len(finished.styles) == 1 else []
    rows = [
        metrics.measure(made, content, styles, None)
        for made, content in zip(finished.validation.images, contents, strict=True)
    ]
    names = set.intersection(*(set(row) for row in rows)) if rows else set()
    return {f"validation_{name}": fmean(row[name] for row in rows) for name in sorted(names)}
