"""The network of `johnson`, one style in one pass (Johnson, Alahi & Fei-Fei 2016). Knows no loss.

Shape letters: B images, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.config.training import JohnsonTraining
from nst.networks.network import Network, PaddedConv, tanh_picture
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from nst.config.training import Training
    from nst.networks.network import Origin

GAIN: Final = 0.1
"""Factor of the last convolution's result. Each value of that result is a sum over 2,592 weights (9 x 9 x 32), which
Adam moves together, by about 1 at each step. Without the factor pictures saturate at once, and white or black spots
stay for long: in an own trial (VGG-16, Starry Night, 64 pixels, batches of 2) the loss after 100 steps was 2.0 with
0.1, 2.4 with 0.03, and 5.0 without a factor."""


class TransformNet(Network):
    """The image transformation network: c9s1-32, d64, d128, R128 x 5, u64, u32, c9s1-3 in the paper's notation.

    Args:
        width: Number of filters of the outermost convolutions.
        residual_blocks: Number of residual blocks.
        styles: Number of rows of parameters in every norm.
        norm: `instance` or `batch`.
        upsampling: `nearest` doubles every position before a convolution; `transposed` is a transposed convolution of
            stride 2.
        padding: `reflect` or `zeros`.
        output: How the picture is bounded: `tanh` a little beyond [0, 1], `sigmoid` within [0, 1], `linear` not at all,
            as in networks of others.

    Source:
        Johnson, Alahi & Fei-Fei 2016, supplementary table 1; pytorch/examples fast_neural_style for the affine instance
        norms, the biases, nearest upsampling and reflection everywhere (1,679,235 parameters). Differs: residual blocks
        are padded, where the paper pads the picture by 40 pixels and loses them in the blocks; `GAIN`.
    """

    family = "johnson"
    multiple = 4

    def __init__(
        self,
        *,
        width: int = 32,
        residual_blocks: int = 5,
        styles: int = 1,
        norm: Literal["instance", "batch"] = "instance",
        upsampling: Literal["nearest", "transposed"] = "nearest",
        padding: Literal["reflect", "zeros"] = "reflect",
        output: Literal["tanh", "sigmoid", "linear"] = "tanh",
    ) -> None:
        super().__init__()
        self.margin = 24 + 8 * residual_blocks
        self.output = output

        def layer(channels: int, filters: int, kernel: int, stride: int = 1, *, up: bool = False) -> Layer:
            how = upsampling if up else None
            made_norm = nn.BatchNorm2d(filters) if norm == "batch" else InstanceNorm(filters, styles)
            return Layer(channels, filters, kernel, made_norm, stride=stride, padding=padding, upsampling=how)

        self.down = nn.ModuleList(
            [layer(3, width, 9), layer(width, 2 * width, 3, 2), layer(2 * width, 4 * width, 3, 2)]
        )
        self.residual = nn.ModuleList(
            Residual(layer(4 * width, 4 * width, 3), layer(4 * width, 4 * width, 3)) for _ in range(residual_blocks)
        )
        self.up = nn.ModuleList([layer(4 * width, 2 * width, 3, up=True), layer(2 * width, width, 3, up=True)])
        self.last = PaddedConv(width, 3, 9, padding=padding)

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        del origin
        assert isinstance(config, JohnsonTraining)
        return cls(
            width=config.width,
            residual_blocks=config.residual_blocks,
            norm=config.norm,
            upsampling=config.upsampling,
            padding=config.padding,
        )

    def forward(self, images_BCHW: Tensor, rows_BS: Tensor | None = None) -> Tensor:
        """Return the stylized pictures.

        Args:
            images_BCHW: RGB in [0, 1].
            rows_BS: Weight of every row of the norms for each image; None takes the first row.
        """
        x_BCHW = (images_BCHW - 0.5) * 4.0  # about mean 0 and variance 1
        for layer in self.down:
            x_BCHW = functional.relu(layer(x_BCHW, rows_BS))
        for block in self.residual:
            x_BCHW = block(x_BCHW, rows_BS)
        for layer in self.up:
            x_BCHW = functional.relu(layer(x_BCHW, rows_BS))
        last_BCHW: Tensor = GAIN * self.last(x_BCHW)
        x_BCHW = last_BCHW[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]
        if self.output == "linear":
            return x_BCHW
        return tanh_picture(x_BCHW) if self.output == "tanh" else torch.sigmoid(x_BCHW)


class Layer(nn.Module):
    """A convolution, which may shrink or enlarge the feature map, and its norm."""

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        norm: nn.Module,
        *,
        stride: int,
        padding: str,
        upsampling: str | None,
    ) -> None:
        super().__init__()
        self.doubles = upsampling == "nearest"
        self.conv = (
            nn.ConvTranspose2d(channels, filters, kernel, 2, padding=1, output_padding=1)
            if upsampling == "transposed"
            else PaddedConv(channels, filters, kernel, stride=stride, padding=padding)
        )
        self.norm = norm

    def forward(self, x_BCHW: Tensor, rows_BS: Tensor | None) -> Tensor:
        """Return the convolved and normalised features."""
        if self.doubles:
            x_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")
        x_BCHW = self.conv(x_BCHW)
        normal_BCHW: Tensor = self.norm(x_BCHW, rows_BS) if isinstance(self.norm, InstanceNorm) else self.norm(x_BCHW)
        return normal_BCHW


class Residual(nn.Module):
    """Two layers whose result is added to their input (He et al. 2016, without the last ReLU)."""

    def __init__(self, first: Layer, second: Layer) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x_BCHW: Tensor, rows_BS: Tensor | None) -> Tensor:
        """Return the sum of the input and the result of both layers."""
        added_BCHW: Tensor = self.second(functional.relu(self.first(x_BCHW, rows_BS)), rows_BS)
        return x_BCHW + added_BCHW
