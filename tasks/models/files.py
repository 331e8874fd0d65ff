"""The files of trained models below the root: weights, sample pictures, and what a stopped training left behind.

models/<ab>/<sha256>.safetensors                 weights, content-addressed: writing twice is harmless
models/samples/<model_id>/<steps>.jpg            validation photographs, or masks, above what the model makes of them
models/evidence/<model_id>/attempt-<n>.json      the last losses of a training that was stopped; .png: its last picture
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from safetensors import SafetensorError

from nst.errors import InputError
from nst.pictures.images import Pixels, decode, encode, resize, resize_to
from nst.pictures.masks import plain_labels, read_labels
from nst.records import OutputFormat
from nst.workspace import NetworkFile
from tasks.inputs.uris import read_uri
from tasks.models.tensor_files import dump_tensors, load_tensors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.pictures.masks import Labels
    from nst.plan.models import ModelSpec
    from nst.records import ImageRef, MaskRef, TrainingRecord
    from nst.training import Unhealthy
    from tasks.jobs import TrainingJob
    from tasks.store import Store

PREFIX: Final = "models/"

_MAX_BYTES: Final = 2 * 1024**3
_SAMPLE_PX: Final = 256
_EVIDENCE_STEPS: Final = 200


def write_weights(store: Store, weights: tuple[Mapping[str, Tensor], Mapping[str, str]]) -> dict[str, Any]:
    """Write a model's file and return the columns that tell of it."""
    tensors, metadata = weights
    data = dump_tensors(tensors, metadata)
    digest = hashlib.sha256(data).hexdigest()
    key = f"{PREFIX}{digest[:2]}/{digest}.safetensors"
    store.put(key, data)
    return {
        "weights_uri": store.url(key),
        "weights_digest": digest,
        "weights_bytes": len(data),
        "parameters": sum(tensor.numel() for tensor in tensors.values()),
    }


def load_model(uri: str, digest: str = "") -> NetworkFile:
    """Return a model whose file is read when it is needed.

    Args:
        uri: Absolute URI of the .safetensors file.
        digest: SHA-256 that it must have; "" reads the file now and takes what it has.

    Raises:
        InputError: With no `digest`: the file does not exist. Else nothing, but `load` of the result does.
    """

    def read() -> bytes:
        data = read_uri(uri, max_bytes=_MAX_BYTES)
        if digest and hashlib.sha256(data).hexdigest() != digest:
            raise InputError(f"{uri} is not the model that was planned", hint="run again; `nst fsck` checks the root")
        return data

    return NetworkFile(digest or hashlib.sha256(read()).hexdigest(), lambda: parse_tensors(uri, read()))


def parse_tensors(uri: str, data: bytes) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the notes and tensors of a file's bytes.

    Raises:
        InputError: They are no safetensors.
    """
    try:
        return load_tensors(data)
    except (SafetensorError, ValueError) as error:
        raise InputError(f"{uri} is no safetensors file: {error}") from error


def read_styles(spec: ModelSpec) -> list[Pixels]:
    """Return the style images of a model.

    Raises:
        InputError: One cannot be read or has changed since the training was planned.
    """
    styles = []
    many = spec.config.most_styles is None
    for ref in spec.styles:
        array = _read(ref)
        largest = round(2 * spec.config.size * spec.config.style_scale)
        if many and max(array.shape[:2]) > largest:  # thousands of paintings stay in memory
            array = resize(array, largest)
        styles.append(Pixels(ref.digest, array))
    return styles


def read_masks(spec: ModelSpec) -> list[Labels]:
    """Return the masks of a model's styles, none if they have none.

    Raises:
        InputError: One cannot be read, is no label image, or has changed since the training was planned.
    """
    masks = []
    for mask in (ref.mask for ref in spec.styles if ref.mask):
        if mask.is_color:
            masks.append(plain_labels(mask.digest))
            continue
        array = _read(mask)
        try:
            masks.append(read_labels(mask.digest, array))
        except InputError as error:
            raise InputError(f"{mask.uri}: {error.message}", hint=error.hint) from error
    return masks


def _read(ref: ImageRef | MaskRef) -> np.ndarray:
    data = read_uri(ref.uri)
    if hashlib.sha256(data).hexdigest() != ref.digest:
        raise InputError(f"{ref.uri} has changed since the training was planned", hint="run again")
    try:
        return decode(data)
    except InputError as error:
        raise InputError(f"{ref.uri}: {error.message}", hint=error.hint) from error


def write_samples(
    store: Store, model_id: str, steps: int, pictures: Sequence[np.ndarray], made: Sequence[np.ndarray]
) -> str:
    """Write the photographs or masks above what the model makes of them, and return the URI."""
    rows = [np.hstack([_square(picture) for picture in row]) for row in (pictures, made)]
    if not any(picture.any() for picture in pictures):
        rows = rows[1:]  # textures come from noise
    key = f"{PREFIX}samples/{model_id}/{steps:09d}.jpg"
    store.put(key, encode(np.vstack(rows), OutputFormat("jpeg", 92), {"model_id": model_id, "steps": str(steps)}))
    return store.url(key)


def write_evidence(store: Store, job: TrainingJob, error: Unhealthy, curve: Sequence[TrainingRecord]) -> str:
    """Write the last losses of a training that was stopped, and its last picture; return the URI of the losses."""
    key = f"{PREFIX}evidence/{job.spec.model_id}/attempt-{job.attempt}"
    losses = [asdict(record) for record in curve[-_EVIDENCE_STEPS:]]
    body = {"step": error.step, "why": str(error), "config": job.spec.config.model_dump(mode="json"), "losses": losses}
    if error.evidence is not None:
        store.put(f"{key}.png", encode(error.evidence, OutputFormat(), {"model_id": job.spec.model_id}))
    store.put(f"{key}.json", json.dumps(body, indent=1).encode())
    return store.url(f"{key}.json")


def _square(picture: np.ndarray) -> np.ndarray:
    return resize_to(picture, _SAMPLE_PX, _SAMPLE_PX)
