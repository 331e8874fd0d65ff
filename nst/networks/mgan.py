"""The network of `mgan`, a decoder of features (Li & Wand 2016), and its critic of neural patches. Knows no loss.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.networks.adain import moments
from nst.networks.encoding import EncodingNet
from nst.networks.johnson import GAIN
from nst.networks.network import PaddedConv, tanh_picture
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nst.backbones import Backbone


class MganNet(EncodingNet):
    """Encodes pictures, and decodes them in the single style that the decoder knows.

    Source:
        Li & Wand 2016, section 3, and chuanli11/MGANs `code/MGAN_wrapper.lua`: a convolution with as many filters as
        the encoder has, then half as many at each doubling, tanh at the end. Differs: nearest upsampling and a
        convolution instead of transposed convolutions; instance norm, which needs no large batch, instead of batch
        norm; `GAIN`.
    """

    family = "mgan"

    def __init__(self, encoder: Backbone, layer: str = "relu4_1") -> None:
        super().__init__(encoder, layer)
        doublings = int(layer[4]) - 1
        # At relu4_1 the encoder sees 37 pixels to each side, and the decoder's convolutions 8 + 4 + 2 + 1.
        self.margin = 8 * self.multiple
        widest = 64 * self.multiple
        filters = [*(widest // 2**level for level in range(doublings)), 3]
        channels = [self.filters_of(layer.replace("relu", "conv")), *filters[:-1]]
        self.decoder = nn.ModuleList(PaddedConv(*pair, 3) for pair in zip(channels, filters, strict=True))
        self.norms = nn.ModuleList(InstanceNorm(count) for count in filters[:-1])

    def decode(self, features_BCHW: Tensor) -> Tensor:
        """Return the RGB pictures that features decode to; values lie a little beyond [0, 1]."""
        x_BCHW = features_BCHW
        for conv, norm in zip(self.decoder, self.norms, strict=False):
            x_BCHW = functional.relu(norm(conv(x_BCHW)))
            x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        return tanh_picture(GAIN * self.decoder[-1](x_BCHW))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the stylized pictures of RGB pictures in [0, 1]."""
        return self.decode(self.encode(images_BCHW))[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]


LEAST: Final = 0.1
"""Smallest standard deviation that a channel is divided by, as a share of the root mean square over all channels. In
Starry Night 2 of the 256 channels at relu3_1 are dead; divided by their own deviations, the features of a picture in
these channels would become hundreds of times as large as all others."""


class PatchCritic(nn.Module):
    """Scores every patch of 3 x 3 positions of a feature map: positive means real.

    Args:
        mean_1C11: Mean of each channel of the style's features, which is subtracted from features.
        deviation_1C11: Standard deviation of each channel of the style's features, which divides features, so that
            scores do not depend on the scale of the backbone's features.
        filters: Number of filters of the first convolution.

    Source:
        chuanli11/MGANs, the discriminator of `code/MDAN_wrapper.lua`: a 3 x 3 convolution with 256 filters, LeakyReLU
        of 0.2, one score. Differs: fixed statistics of the style instead of a batch norm after the first convolution,
        so that neither the score of another picture nor a checkpoint depends on a picture; no padding, instead of a
        mask of the borders.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean_1C11: Tensor, deviation_1C11: Tensor, filters: int = 256) -> None:
        super().__init__()
        self.register_buffer("mean", mean_1C11)
        usual = deviation_1C11.square().mean().sqrt()
        self.register_buffer("deviation", deviation_1C11.clamp_min(float(LEAST * usual)))
        self.patches = nn.Conv2d(mean_1C11.shape[1], filters, 3)
        self.score = nn.Conv2d(filters, 1, 1)

    def forward(self, features_BCHW: Tensor) -> Tensor:
        """Return a score for every patch, shape (B, 1, H - 2, W - 2)."""
        x_BCHW = (features_BCHW - self.mean) / self.deviation
        scores_B1HW: Tensor = self.score(functional.leaky_relu(self.patches(x_BCHW), 0.2))
        return scores_B1HW


def critics_of(styles: Sequence[Mapping[str, Tensor]], seed: int) -> dict[str, PatchCritic]:
    """Return a new critic of the patches of style images at every layer, on their device.

    Args:
        styles: Features of each style image by layer, shape (1, C, H, W) each.
        seed: Seed of the first weights.
    """
    critics = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in styles[0]:
            parts = zip(*(moments(features[layer]) for features in styles), strict=True)
            mean_1C11, deviation_1C11 = (torch.stack(part).mean(0) for part in parts)
            critics[layer] = PatchCritic(mean_1C11, deviation_1C11).to(mean_1C11)
    return critics
