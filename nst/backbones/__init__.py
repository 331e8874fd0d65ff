"""The networks that measure pictures, by name, built from their settings and weights. Knows no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from nst.backbones.backbone import Backbone
from nst.backbones.random import draw_weights
from nst.backbones.resnet import ResNet
from nst.backbones.squeezenet import SqueezeNet
from nst.backbones.vgg import VGG
from nst.config.architectures import deepest
from nst.config.convolutions import convolutions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from nst.config.backbone import BackboneConfig

__all__ = ["BACKBONES", "VGG", "Backbone", "ResNet", "SqueezeNet", "build_backbone", "random_weights"]

BACKBONES: Final[dict[str, type[Backbone]]] = {
    "vgg19": VGG,
    "vgg16": VGG,
    "squeezenet": SqueezeNet,
    "resnet18": ResNet,
    "resnet50": ResNet,
}
"""The class that computes each backbone, by `backbone.name`."""


def build_backbone(
    config: BackboneConfig,
    layers: Iterable[str],
    weights: Mapping[str, Tensor] | None,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Backbone:
    """Return the backbone up to the deepest of `layers`, frozen, on its device.

    Args:
        config: Architecture, input convention, pooling and padding.
        layers: Names of the layers whose feature maps the backbone returns.
        weights: Tensors under torchvision's names; None for `random` weights, which are drawn here.
        device: Device that the backbone computes on.
        dtype: Type of the weights and feature maps.

    Raises:
        InputError: The architecture or the weights lack a layer.
    """
    layers = frozenset(layers)
    if config.weights == "random":
        weights = random_weights(config.name, config.seed, deepest(config.name, layers))
    assert weights is not None, "only random weights may be left out"
    network = BACKBONES[config.name](
        config.name, layers, weights, inputs=config.expected_input, pooling=config.pooling, padding=config.padding
    )
    network = network.to(device=device, dtype=dtype)
    for name, buffer in network.named_buffers():
        if buffer.dim() == 4:
            # Feature maps follow the weights: convolutions with channels last need no other order of what they read.
            setattr(network, name, buffer.contiguous(memory_format=torch.channels_last))
    return network.eval()


def random_weights(name: str, seed: int, deepest_layer: str) -> dict[str, Tensor]:
    """Return seeded random weights of a backbone up to a layer (`nst.backbones.random`)."""
    return draw_weights(name, convolutions_of(name), seed, deepest_layer)
