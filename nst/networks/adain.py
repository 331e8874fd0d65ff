"""The network of `adain`, any style in one pass (Huang & Belongie 2017). Knows no loss.

Shape letters: B images, C channels, H rows, W columns, K styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.networks.encoding import EncodingNet
from nst.networks.network import Graph, PaddedConv, example_photographs
from nst.networks.norm import Whitening, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nst.backbones import Backbone
    from nst.networks.network import Painting, Part, Style

    Moments = tuple[Tensor, Tensor]
    """Mean and standard deviation of every channel, shape (B, C, 1, 1) each."""

MIRRORED: Final = (
    "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "conv3_4", "conv4_1",
)  # fmt: skip
"""The convolutions that the decoder mirrors: those of VGG-19, whichever the encoder is."""


class AdainNet(EncodingNet):
    """Encodes pictures, gives their features the means and deviations of a style, and decodes them.

    Source:
        Huang & Belongie 2017, section 6 and eq. 8, 10 and 14; xunhuang1995/AdaIN-style for several styles and for
        masks, where each region of the content is normalised by its own statistics. Differs: biased variances; soft
        masks; an untrained decoder paints grey, not black.
    """

    family = "adain"
    blends = True

    def __init__(self, encoder: Backbone, layer: str = "relu4_1") -> None:
        super().__init__(encoder, layer)
        # Twice what the encoder sees around a position (30 pixels at relu4_1), and the last step of the upsampling.
        self.margin = 10 * self.multiple
        self.whiten = Whitening()
        mirrored = MIRRORED[: MIRRORED.index(layer.replace("relu", "conv")) + 1]
        widths = [3, *(self.filters_of(name) for name in mirrored)]
        convs = [PaddedConv(widths[place + 1], widths[place], 3) for place in reversed(range(len(mirrored)))]
        nn.init.constant_(convs[-1].conv.get_parameter("bias"), 0.5)
        self.decoder = nn.ModuleList(convs)
        self.doubles = [name.endswith("_1") for name in reversed(mirrored)]

    def paint(self, painting: Painting) -> Tensor:
        """Return the photographs, each in its mix of styles."""
        pictures_B3HW: Tensor = self(painting.photographs, painting.mixes, painting.alpha)
        return pictures_B3HW

    def describe_style(self, picture_13HW: Tensor, shares: Callable[[int, int], Tensor] | None = None) -> Moments:
        """Return the means and deviations of the features of a style image or of one of its regions."""
        features_1CHW = self.encode(picture_13HW)
        return moments(features_1CHW, None if shares is None else shares(*features_1CHW.shape[2:]))

    def decode(self, features_BCHW: Tensor) -> Tensor:
        """Return the RGB pictures that features decode to, about in [0, 1]."""
        x_BCHW = features_BCHW
        for conv, doubles in zip(self.decoder[:-1], self.doubles[:-1], strict=True):
            x_BCHW = functional.relu(conv(x_BCHW))
            # The decoder mirrors the encoder: it doubles where the encoder pooled, before the first layer of a block.
            if doubles:
                x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        pictures_B3HW: Tensor = self.decoder[-1](x_BCHW)
        return pictures_B3HW

    def exchange(self, features_BCHW: Tensor, style: Style, shares_B1HW: Tensor | None = None) -> Tensor:
        """Return the features with the means and deviations of a style (eq. 8).

        Args:
            features_BCHW: Features of the content.
            style: Means and deviations, as `describe_style` returns them.
            shares_B1HW: Share of each position that belongs to the region whose statistics are exchanged; None for the
                whole picture.
        """
        mean_BC11, deviation_BC11 = style
        exchanged: Tensor = self.whiten(features_BCHW, shares_B1HW) * deviation_BC11 + mean_BC11
        return exchanged

    def forward(self, images_BCHW: Tensor, mixes: Sequence[Sequence[Part]], alpha: Tensor | float = 1.0) -> Tensor:
        """Return the stylized pictures.

        Args:
            images_BCHW: RGB in [0, 1].
            mixes: For each image, its styles with their shares, which add up to 1 at every position.
            alpha: Share of the exchanged features against those of the content (eq. 14), in [0, 1]; a number or shape
                (B, 1, 1, 1).
        """
        content_BCHW = self.encode(images_BCHW)
        exchanged_BCHW = torch.cat(
            [self._mix(content_CHW[None], parts) for content_CHW, parts in zip(content_BCHW, mixes, strict=True)]
        )
        mixed_BCHW = alpha * exchanged_BCHW + (1.0 - alpha) * content_BCHW
        return self.decode(mixed_BCHW)[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX, with inputs `images`, `style` and `alpha`."""
        from torch.export import Dim

        photographs_B3HW, free = example_photographs()
        free_style = {0: free[0], 2: Dim("style_height", min=16), 3: Dim("style_width", min=16)}
        example = photographs_B3HW, torch.rand(2, 3, 96, 80), torch.ones(2)
        return Graph(_Exchange(self), ("images", "style", "alpha"), example, (free, free_style, {0: free[0]}))

    def _mix(self, content_1CHW: Tensor, parts: Sequence[Part]) -> Tensor:
        mixed_1CHW = torch.zeros_like(content_1CHW)
        for style, share in parts:
            shares_11HW = share if isinstance(share, Tensor) else None
            mixed_1CHW = mixed_1CHW + share * self.exchange(content_1CHW, style, shares_11HW)
        return mixed_1CHW


class _Exchange(nn.Module):
    def __init__(self, network: AdainNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, style: Tensor, alpha: Tensor) -> Tensor:
        content_BCHW = self.network.encode(images)
        exchanged_BCHW = self.network.exchange(content_BCHW, moments(self.network.encode(style)))
        mixed_BCHW = torch.lerp(content_BCHW, exchanged_BCHW, alpha[:, None, None, None])
        return self.network.decode(mixed_BCHW)[..., : images.shape[2], : images.shape[3]]


def moments(features_BCHW: Tensor, shares_B1HW: Tensor | None = None, *, epsilon: float = 1e-5) -> Moments:
    """Return the mean and standard deviation of every channel, shape (B, C, 1, 1) each.

    Args:
        features_BCHW: Features.
        shares_B1HW: Share of each position that belongs to a region, for the statistics of that region; None for those
            of the whole picture.
        epsilon: Number added to the variance before its root is taken.
    """
    mean_BC11, variance_BC11 = statistics(features_BCHW, shares_B1HW)
    return mean_BC11, (variance_BC11 + epsilon).sqrt()
