"""Seeded random weights, equal on every machine. Knows no picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch

from nst.backbones.vgg import conv_shapes, layer_indices

if TYPE_CHECKING:
    from torch import Tensor


def random_weights(name: Literal["vgg16", "vgg19"], seed: int) -> dict[str, Tensor]:
    """Return random weights under torchvision's names, for the torchvision input convention.

    Source:
        He et al. 2015 (variance 2 / fan in, uniform).
    """
    indices = layer_indices(name)
    generator = torch.Generator().manual_seed(seed)
    weights: dict[str, Tensor] = {}
    for conv, (filters, channels) in conv_shapes(name).items():
        bound = math.sqrt(6.0 / (channels * 9))
        weight = torch.rand((filters, channels, 3, 3), generator=generator).mul_(2 * bound).sub_(bound)
        weights[f"features.{indices[conv]}.weight"] = weight
        weights[f"features.{indices[conv]}.bias"] = torch.zeros(filters)
    return weights
