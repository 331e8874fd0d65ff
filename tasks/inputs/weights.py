"""Where the weights of a backbone lie, what identifies them, and what tensors they hold, found without torch.

`tasks.models.backbone_weights` reads the tensors themselves.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from nst import errors
from nst.config.architectures import ARCHITECTURES
from nst.config.locations import parse_location
from nst.errors import InputError, StorageError, UserError
from nst.yaml.json_text import from_json
from tasks.inputs.tensor_headers import tensor_shapes
from tasks.inputs.uris import read_uri, stat_uri
from tasks.inputs.web import stat_web
from tasks.store import Patience

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests
    from tasks.inputs.tensor_headers import Shapes
    from tasks.store import Store

MAX_BYTES: Final = 2 * 1024**3
"""Most bytes of a file of weights."""


_TORCHVISION_SITE: Final = "https://download.pytorch.org/models"
_SHORT_PATIENCE: Final = Patience(deadline=5.0, stall=5.0)

_OFFLINE: Final = {
    "vgg19": "weights: embedded",
    "vgg16": "name: vgg19, weights: embedded",
}
"""What a manifest may say in place of torchvision's weights of a backbone that has a counterpart in the package."""

_PACKAGED: Final = Path(errors.__file__).parent / "backbones"
"""Where the weights lie that the package holds."""


@dataclass(frozen=True, slots=True)
class WeightsRef:
    """The weights of a backbone.

    Attributes:
        uri: `random`, `torchvision`, or the absolute URI of a file; a signed link with its signature.
        digest: Their identity, part of the ids of cells and models: `sha256-` and the digest of the file,
            `torchvision-` and the name of torchvision's file, or the seed of random weights.
    """

    uri: str
    digest: str

    @property
    def is_file(self) -> bool:
        """Whether they are a file that the user named or that the package holds."""
        return self.digest.startswith("sha256-")


def find_weights(config: BackboneConfig, base: BaseUri, digests: Digests) -> WeightsRef:
    """Return the weights that a backbone names; a file is read for its digest, torchvision's are not.

    Raises:
        InputError: The file does not exist, is too large, or may not be named.
    """
    if config.weights == "random":
        return WeightsRef("random", f"random{config.RANDOM_VERSION}-{config.name}-{config.seed}")
    if config.weights == "torchvision":
        return WeightsRef("torchvision", f"torchvision-{ARCHITECTURES[config.name].file.removesuffix('.pth')}")
    uri = packaged_uri(config) if config.distilled else base.join(config.weights)
    return WeightsRef(uri, f"sha256-{digests.of([stat_uri(uri)])[0]}")


def packaged_uri(config: BackboneConfig) -> str:
    """Return the URI of the distilled weights that the package holds under the name that a backbone gives."""
    return f"file://{_PACKAGED / config.weights}.safetensors"  # taken literally: nothing is encoded


def cached_weights(name: str) -> Path:
    """Return the file in torch's cache for torchvision's weights of a backbone, whether it exists or not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch"
    return Path(os.environ.get("TORCH_HOME", cache)) / "hub" / "checkpoints" / ARCHITECTURES[name].file


def check_download(name: str) -> None:
    """Refuse torchvision's weights of a backbone that are neither in torch's cache nor to be had from their site.

    Raises:
        InputError: They are not.
    """
    if cached_weights(name).is_file():
        return
    try:
        stat_web(parse_location(f"{_TORCHVISION_SITE}/{ARCHITECTURES[name].file}"), _SHORT_PATIENCE)
    except (UserError, StorageError, FileNotFoundError) as error:
        raise InputError(
            f"torchvision's weights of {name} are not in {cached_weights(name).parent}, and {_TORCHVISION_SITE} "
            "does not answer",
            hint=f"without a network, write backbone: {{{_OFFLINE.get(name, 'weights: FILE}, or {weights: random')}}}",
        ) from error


def shapes_of(weights: WeightsRef, store: Store) -> Shapes:
    """Return the shape of every tensor in a file of weights, by name.

    Of a file on a local disk only the header is read. Any other file is read whole, once: what it holds is remembered
    below the root by its digest.

    Args:
        weights: The file.
        store: The objects of the root.

    Raises:
        InputError: The file is of another kind, or damaged.
        StorageError: The store or site did not answer before the deadline.
    """
    location = parse_location(weights.uri)
    if location.is_local:
        path = Path(location.path)
        with path.open("rb") as file:
            return tensor_shapes(file, weights.uri, path.stat().st_size)
    key = f"state/weights/{weights.digest}.json"
    try:
        return {name: tuple(shape) for name, shape in from_json(store.get(key)).items()}
    except (FileNotFoundError, ValueError, AttributeError, TypeError):  # not known, or damaged: it is read once more
        data = read_uri(weights.uri, max_bytes=MAX_BYTES)
        shapes = tensor_shapes(io.BytesIO(data), weights.uri, len(data))
        store.put(key, json.dumps(shapes).encode())
        return shapes
