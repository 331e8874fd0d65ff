"""Trained networks by family, built from training settings or from a model's file. Knows no loss and no file system."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from nst.config.training import TrainingConfig
from nst.errors import InputError
from nst.networks.adain import AdainNet
from nst.networks.conditional import ConditionalNet
from nst.networks.doodle_net import DoodleNet
from nst.networks.encoding import encoder_from
from nst.networks.importing import import_network
from nst.networks.johnson import TransformNet
from nst.networks.mgan import MganNet
from nst.networks.network import Network, Origin, Painting
from nst.networks.student import StudentNet
from nst.networks.super_resolution import SuperResolutionNet
from nst.networks.texture_net import TextureNet
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.config.training import Training

__all__ = [
    "FORMAT",
    "NETWORKS",
    "Network",
    "Origin",
    "Painting",
    "build_network",
    "import_network",
    "metadata_of",
    "network_from",
]

FORMAT: Final = "nst-model-1"
"""Value of `format` in the metadata of nst's own model files."""

_CONFIG: Final[TypeAdapter[Any]] = TypeAdapter(TrainingConfig)


NETWORKS: Final[dict[str, type[Network]]] = {
    "adain": AdainNet,
    "conditional": ConditionalNet,
    "doodle_net": DoodleNet,
    "johnson": TransformNet,
    "mgan": MganNet,
    "student": StudentNet,
    "super_resolution": SuperResolutionNet,
    "texture_net": TextureNet,
}
"""The class of every family's networks, by the family's name."""


_PLAIN: Final = Origin()


def build_network(config: Training, origin: Origin = _PLAIN) -> Network:
    """Return the network that these settings train, with first weights drawn by torch's global generator."""
    return NETWORKS[config.family].from_training(config, origin)


def metadata_of(config: Training, styles: list[str], steps: int, colors: Sequence[str] = ()) -> dict[str, str]:
    """Return the metadata of a model's file, from which `network_from` can build the network again.

    Args:
        config: Settings of the training.
        styles: SHA-256 of the style images, in the order of the network's rows.
        steps: Number of steps of the training so far.
        colors: `#rrggbb` of the regions that the network paints, in the order of its masks; empty for other networks.
    """
    return {
        "format": FORMAT,
        "family": config.family,
        "config": config.model_dump_json(),
        "styles": json.dumps(styles),
        "steps": str(steps),
        "convention": "RGB 0..1 NCHW",
        **({"colors": json.dumps(list(colors))} if colors else {}),
    }


def network_from(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Network:
    """Return the trained network of a file: a model of nst, or an external network (`nst.networks.importing`).

    Args:
        metadata: Metadata of the file.
        tensors: Tensors of the file.

    Raises:
        InputError: The file holds no known network, or its tensors do not fit.
    """
    if metadata.get("format") != FORMAT:
        return import_network(metadata, tensors)
    try:
        config = _CONFIG.validate_json(metadata["config"])
        styles, colors = (tuple(from_json(metadata.get(key, "[]"))) for key in ("styles", "colors"))
    except (KeyError, ValidationError, ValueError) as error:
        found = f"the model's metadata cannot be read: {error}"
        raise InputError(found, hint="was it written by a newer version?") from error
    encodes = NETWORKS[config.family].encodes
    encoder = encoder_from(config.backbone, config.layer, tensors) if encodes else None
    network = build_network(config, Origin(max(1, len(styles)), encoder, colors))
    load(network, tensors)
    network.styles = styles
    return network


def load(network: Network, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a network.

    Raises:
        InputError: A tensor is missing, superfluous, of another shape, or not finite.
    """
    wanted = network.state_dict()
    for key in sorted(wanted.keys() | tensors.keys()):
        if key not in tensors or key not in wanted:
            what = "lack" if key in wanted else "hold an unknown"
            raise InputError(f"the weights of this {network.family} network {what} {key}", hint="is the file damaged?")
        if tensors[key].shape != wanted[key].shape:
            found, expected = tuple(tensors[key].shape), tuple(wanted[key].shape)
            raise InputError(f"{key} has shape {found}; this {network.family} network needs {expected}")
        if not tensors[key].isfinite().all():
            raise InputError(f"{key} holds values that are not finite", hint="is the file damaged?")
    network.load_state_dict(dict(tensors))
