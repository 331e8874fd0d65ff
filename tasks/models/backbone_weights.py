"""The tensors of a backbone's weights, read from torch's cache or from a file and checked against the planned digest.

`torchvision` is downloaded once by torch into its cache, anything else is the URI of a file; random weights are made,
not read. Weights are data: they load from safetensors, from .pth with `weights_only=True`, or from .t7 by nst's own
reader, never as code.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from nst.config.architectures import ARCHITECTURES
from nst.config.convolutions import convolutions_of
from nst.errors import InputError, StorageError, UserError
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.reading import check_planned, read_planned
from tasks.inputs.tensor_headers import file_format
from tasks.inputs.torch7_modules import backbone_weights, modules_in
from tasks.inputs.weights import cached_weights
from tasks.models.torch_files import load_torch

if TYPE_CHECKING:
    from torch import Tensor

    from nst.config.backbone import BackboneConfig


def load_weights(config: BackboneConfig, uri: str, digest: str) -> dict[str, Tensor]:
    """Return the backbone's tensors under torchvision's names, such as `features.0.weight`.

    Args:
        config: The backbone; its `name` chooses torchvision's weights.
        uri: `torchvision`, or the absolute URI of a .safetensors, .pth, .pt or .t7 file.
        digest: The planned identity of the weights (`tasks.inputs.weights.WeightsRef.digest`).

    Raises:
        InputError: The file is missing, unreadable, not the planned one, or holds no such tensors.
        UserError: torchvision's weights are not in torch's cache and cannot be downloaded.
        StorageError: The download of torchvision's weights is damaged.
    """
    planned = digest.rpartition("-")[2]  # a SHA-256, or the beginning of it in the name of torchvision's file
    if uri == "torchvision":
        if not (path := cached_weights(config.name)).is_file():
            fetch_weights(config.name)
        with path.open("rb") as file:
            check_planned(str(path), hashlib.file_digest(file, "sha256").hexdigest(), planned)
        tensors = _torchvision(config.name)
    else:
        tensors = _parse(read_planned(uri, planned, max_bytes=MOST_BYTES), uri)
    convolutions = convolutions_of(config.name)
    used = {key.partition(".")[0] for convolution in convolutions for key in convolution.shapes}
    first = f"{convolutions[0].key}.weight"
    if not any(name.partition(".")[0] in used for name in tensors):
        raise InputError(
            f"{uri} holds no tensor named {first}; found {', '.join(sorted(tensors)[:3])} ...",
            hint="weights use torchvision's names of layers",
        )
    return {name: tensor for name, tensor in tensors.items() if name.partition(".")[0] in used}


def fetch_weights(name: str) -> None:
    """Download torchvision's weights of a backbone into torch's cache, unless they are there.

    Raises:
        UserError: They cannot be downloaded, or what is in the cache under their name is another file.
        StorageError: The download is damaged.
    """
    if not cached_weights(name).is_file():
        _torchvision(name)
    if fault := cache_fault(name):
        raise UserError(fault, hint="delete the file, and it is downloaded again")


def cache_fault(name: str) -> str:
    """Return what is wrong with the file in torch's cache for torchvision's weights of a backbone, or "".

    The file's digest is computed, which takes up to a second.
    """
    path, planned = cached_weights(name), ARCHITECTURES[name].file.rpartition("-")[2].removesuffix(".pth")
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"
    if found.startswith(planned):
        return ""
    size = path.stat().st_size
    return f"{path} is not torchvision's file: its {size:,} bytes have SHA-256 {found[:16]}..., expected {planned}..."


def _torchvision(name: str) -> dict[str, Tensor]:
    from torchvision import models

    weights = models.get_weight(ARCHITECTURES[name].weights)
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except OSError as error:  # urllib's errors are OSErrors
        raise UserError(
            f"torchvision's weights of {name} are neither in torch's cache nor can they be downloaded: {error}",
            hint="offline, use backbone: {weights: embedded}, which comes with nst, or weights: random",
        ) from error
    except RuntimeError as error:  # the digest of the download is wrong
        raise StorageError(f"torchvision's weights of {name}: {error}") from error


def _parse(data: bytes, uri: str) -> dict[str, Tensor]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    match file_format(uri, data[:8]):
        case "torch":
            return load_torch(data, uri)
        case "torch7":
            arrays = backbone_weights(*modules_in(data, uri))
            return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    try:
        tensors: dict[str, Tensor] = load(data)
    except SafetensorError as error:
        raise InputError(f"{uri} is not a safetensors file: {error}") from error
    return tensors
