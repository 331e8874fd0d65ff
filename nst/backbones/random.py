"""Seeded random weights that measure style tolerably and are equal on every machine. Knows no picture.

Plain variance-scaled weights measure mostly noise: rectified features share a large mean that grows with depth and
drowns the differences between them, and white filters give the noise of single pixels as much weight as strokes. There
are three remedies, none of which has seen any data: the filters after the first layer sum to zero; 3 x 3 filters are
random in the frequencies of a patch, with smaller high frequencies, as in pictures; and `BackboneConfig` takes average
pooling by default, since maxima let noise through.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import torch

from nst.config.architectures import layers_of
from nst.config.convolutions import NORM_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from nst.config.convolutions import Convolution

SPECTRUM: Final = (1.0, 0.7, 0.3)
"""Scale of the constant, sloping and curved part of a filter along each axis, chosen by eye on VGG-19 at 256 pixels."""

_COSINES: Final = (
    (3**-0.5, 3**-0.5, 3**-0.5),
    (2**-0.5, 0.0, -(2**-0.5)),
    (6**-0.5, -2 * 6**-0.5, 6**-0.5),
)
"""The orthonormal cosine basis of three samples."""


def draw_weights(name: str, convolutions: Iterable[Convolution], seed: int, deepest: str) -> dict[str, Tensor]:
    """Return random weights under torchvision's names, for torchvision's input convention.

    Every filter has norm sqrt(2), so that rectified features neither vanish nor explode through sixteen layers; biases
    are zero. Batch normalisations change nothing, but for those at the end of the N branches of a ResNet, which
    multiply by N^(-1/2), so that the sum of all branches does not grow with their number.

    Args:
        name: Name of the architecture.
        convolutions: All convolutions of the architecture, in order.
        seed: Seed of the weights.
        deepest: Name of the last layer that is drawn; the weights of the layers before do not depend on it.

    Source:
        He et al. 2015 (variance 2 / fan in); random filters for textures: Ustyuzhaninov et al. 2016 and He, Wang &
        Hopcroft 2016 ("A powerful generative model using random weights"). Differs: zero sums and the falling spectrum.
    """
    order = layers_of(name)
    generator = torch.Generator().manual_seed(seed)
    basis_FK = torch.tensor(_COSINES, dtype=torch.float64) * torch.tensor(SPECTRUM, dtype=torch.float64)[:, None]
    weights: dict[str, Tensor] = {}
    convolutions = list(convolutions)
    branches = sum(convolution.ends_branch for convolution in convolutions)
    for convolution in convolutions:
        if order.index(convolution.layer) > order.index(deepest):
            break
        filters, channels, side = convolution.filters, convolution.channels, convolution.side
        # Uniform numbers are bit-identical everywhere, which normal ones are not.
        weight_OCKK = torch.rand((filters, channels, side, side), generator=generator).double() * 2.0 - 1.0
        if side == 3:
            weight_OCKK = basis_FK.T @ weight_OCKK @ basis_FK
        if channels > 3:
            weight_OCKK -= weight_OCKK.mean((1, 2, 3), keepdim=True)
        weight_OCKK *= math.sqrt(2.0) / weight_OCKK.square().sum((1, 2, 3), keepdim=True).sqrt()
        weights[f"{convolution.key}.weight"] = weight_OCKK.float()
        if convolution.norm:
            scale = branches**-0.5 if convolution.ends_branch else 1.0
            norm = (torch.full((filters,), scale), torch.zeros(filters), torch.zeros(filters), torch.ones(filters))
            weights |= {f"{convolution.norm}.{part}": values for part, values in zip(NORM_PARTS, norm, strict=True)}
        else:
            weights[f"{convolution.key}.bias"] = torch.zeros(filters)
    return weights
