"""Any style in one pass (Huang & Belongie 2017): an encoder, exchanged statistics, a decoder. Knows no loss.

Shape letters: B images, C channels, H rows, W columns, K styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch import Tensor, nn
from torch.nn import functional

from nst.networks.network import Network, PaddedConv, pad_to_multiple
from nst.networks.norm import Whitening, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.backbones import VGG

    Moments = tuple[Tensor, Tensor]
    """Mean and deviation of every channel, shape (B, C, 1, 1)."""

DECODER: Final = {
    1: ((64, 3),),
    2: ((128, 64), (64, 64), (64, 3)),
    3: ((256, 128), (128, 128), (128, 64), (64, 64), (64, 3)),
    4: (
        (512, 256), (256, 256), (256, 256), (256, 256), (256, 128), (128, 128), (128, 64), (64, 64), (64, 3),
    ),
}  # fmt: skip
"""Channels in and out of the decoder's convolutions by the block where the encoder ends (at its first ReLU)."""


class AdainNet(Network):
    """Encodes, gives the content's features the style's means and deviations, and decodes.

    Args:
        encoder: A backbone that returns `layer`; it is not trained.
        layer: `relu1_1` ... `relu4_1`.

    Source:
        Huang & Belongie 2017, section 6 and eq. 8, 10 and 14; xunhuang1995/AdaIN-style for several styles and masks.
        Differs: biased variances.
    """

    family = "adain"
    multiple = 8
    margin = 96

    def __init__(self, encoder: VGG, layer: str = "relu4_1") -> None:
        super().__init__()
        self.encoder = encoder.eval()
        self.layer = layer
        block = int(layer[4])
        self.smallest = 2**block
        self.whiten = Whitening()
        self.shapes = DECODER[block]
        self.decoder = nn.ModuleList(PaddedConv(channels, filters, 3) for channels, filters in self.shapes)

    def encode(self, images_BCHW: Tensor) -> Tensor:
        """Return features of RGB pictures in [0, 1]."""
        features: dict[str, Tensor] = self.encoder(pad_to_multiple(images_BCHW, self.multiple))
        return features[self.layer]

    def decode(self, features_BCHW: Tensor) -> Tensor:
        """Return RGB pictures of features, about in [0, 1]."""
        x_BCHW = features_BCHW
        for (channels, filters), conv in zip(self.shapes, self.decoder, strict=True):
            x_BCHW = conv(x_BCHW)
            if filters > 3:
                x_BCHW = functional.relu(x_BCHW)
            # The decoder mirrors the encoder: it doubles where the encoder pooled.
            if channels == 2 * filters:
                x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        return x_BCHW

    def exchange(self, features_BCHW: Tensor, style: Moments) -> Tensor:
        """Return the features with the style's means and deviations (eq. 8)."""
        mean_BC11, deviation_BC11 = style
        exchanged: Tensor = self.whiten(features_BCHW) * deviation_BC11 + mean_BC11
        return exchanged

    def forward(
        self,
        images_BCHW: Tensor,
        styles: Sequence[Moments],
        weights: Sequence[float] = (1.0,),
        *,
        alpha: Tensor | float = 1.0,
        masks: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Return the stylized pictures.

        Args:
            images_BCHW: RGB in [0, 1].
            styles: Per style its `moments`, of one image or of B.
            weights: Of the styles, of any positive sum.
            alpha: Share of the exchanged features in the mix with the content's own (eq. 14); a number or shape
                (B, 1, 1, 1).
            masks: Per style where it applies, in [0, 1], shape (1 or B, 1, H, W); they take the place of `weights`.
        """
        content_BCHW = self.encode(images_BCHW)
        total = sum(weights)
        shares: Sequence[Tensor | float] = [weight / total for weight in weights]
        if masks is not None:
            shares = [functional.interpolate(mask, content_BCHW.shape[2:], mode="area") for mask in masks]
        exchanged = [share * self.exchange(content_BCHW, style) for share, style in zip(shares, styles, strict=True)]
        mixed_BCHW = alpha * sum(exchanged[1:], exchanged[0]) + (1.0 - alpha) * content_BCHW
        return self.decode(mixed_BCHW)[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]


def moments(features_BCHW: Tensor, epsilon: float = 1e-5) -> Moments:
    """Return the mean and deviation of every channel, shape (B, C, 1, 1)."""
    mean_BC11, variance_BC11 = statistics(features_BCHW)
    return mean_BC11, (variance_BC11 + epsilon).sqrt()
