"""The files of trained models: inputs read, weights, sample pictures and evidence written (keys: `tasks.layout`)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError

from nst.errors import InputError
from nst.pictures.images import Pixels, encode, resize, resize_to
from nst.records import OutputFormat
from nst.workspace import NetworkFile
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.reading import read_mask, read_picture, read_planned
from tasks.layout import evidence_key, samples_key, weights_key
from tasks.models.tensor_files import dump_tensors, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.pictures.masks import Labels
    from nst.planning.models import ModelSpec
    from nst.records import TrainingRecord
    from nst.training import Unhealthy
    from tasks.jobs import TrainingJob
    from tasks.store import Store

_SAMPLE_PX: Final = 256
_EVIDENCE_STEPS: Final = 200
"""Losses of the last steps that the evidence of an unhealthy training keeps."""


def write_weights(store: Store, weights: tuple[Mapping[str, Tensor], Mapping[str, str]]) -> dict[str, Any]:
    """Write the weights of a model, tensors with metadata, and return the columns about that file."""
    tensors, metadata = weights
    data = dump_tensors(tensors, metadata)
    digest = hashlib.sha256(data).hexdigest()
    key = weights_key(digest)
    store.put(key, data)
    return {
        "weights_uri": store.url(key),
        "weights_digest": digest,
        "weights_bytes": len(data),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
    }


def load_model(uri: str, digest: str = "") -> NetworkFile:
    """Return a trained network whose file is read when it is needed.

    Args:
        uri: Absolute URI of the .safetensors file.
        digest: SHA-256 that the file must have; "" reads it now and accepts any.

    Raises:
        InputError: `digest` is empty and the file does not exist. With a digest, errors surface when the result's
            `load` is called.
    """

    def read() -> bytes:
        return read_planned(uri, digest, max_bytes=MOST_BYTES)

    return NetworkFile(digest or hashlib.sha256(read()).hexdigest(), lambda: parse_tensors(uri, read()))


def parse_tensors(uri: str, data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata and the tensors of a file's bytes.

    Raises:
        InputError: The bytes are not in the safetensors format.
    """
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{uri} is not a safetensors file: {error}") from error


def read_styles(spec: ModelSpec) -> list[Pixels]:
    """Return the style images of a model.

    Raises:
        InputError: One cannot be read or has changed since the training was planned.
    """
    styles = []
    many = spec.config.most_styles is None
    for ref in spec.styles:
        array = read_picture(ref)
        largest = round(2 * spec.config.size * spec.config.style_scale)
        if many and max(array.shape[:2]) > largest:  # thousands of paintings stay in memory
            array = resize(array, largest)
        styles.append(Pixels(ref.digest, array))
    return styles


def read_masks(spec: ModelSpec) -> list[Labels]:
    """Return the masks of a model's styles; the list is empty for families that need none.

    Raises:
        InputError: One cannot be read, is not a label image, or has changed since the training was planned.
    """
    return [read_mask(ref.mask) for ref in spec.styles if ref.mask]


def write_sample_sheet(
    store: Store, model_id: str, steps: int, pictures: Sequence[np.ndarray], made: Sequence[np.ndarray]
) -> str:
    """Write the photographs or masks in a row above what the model makes of them; return the URI of the picture."""
    rows = [np.hstack([_square(picture) for picture in row]) for row in (pictures, made)]
    if not any(picture.any() for picture in pictures):
        rows = rows[1:]  # textures come from noise
    key = samples_key(model_id, steps)
    store.put(key, encode(np.vstack(rows), OutputFormat("jpeg", 92), {"model_id": model_id, "steps": str(steps)}))
    return store.url(key)


def write_evidence(store: Store, job: TrainingJob, error: Unhealthy, curve: Sequence[TrainingRecord]) -> str:
    """Write the last losses and the last picture of an unhealthy training; return the URI of the losses."""
    model_id = job.spec.model_id
    key = evidence_key(model_id, job.attempt, "json")
    losses = [asdict(record) for record in curve[-_EVIDENCE_STEPS:]]
    body = {"step": error.step, "why": str(error), "config": job.spec.config.model_dump(mode="json"), "losses": losses}
    if error.evidence is not None:
        picture = encode(error.evidence, OutputFormat(), {"model_id": model_id})
        store.put(evidence_key(model_id, job.attempt, "png"), picture)
    store.put(key, json.dumps(body, indent=1).encode())
    return store.url(key)


def _square(picture: np.ndarray) -> np.ndarray:
    return resize_to(picture, _SAMPLE_PX, _SAMPLE_PX)
