"""The network of `super_resolution`, which enlarges photographs (Johnson et al. 2016, section 4.2). Knows no loss.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from torch import Tensor, nn
from torch.nn import functional

from nst.config.training import SuperResolutionTraining
from nst.networks.johnson import GAIN, Layer, Residual
from nst.networks.network import Network, PaddedConv, tanh_picture
from nst.networks.norm import InstanceNorm
from nst.pictures.color import match_levels

if TYPE_CHECKING:
    import numpy as np

    from nst.config.training import Training
    from nst.networks.network import Origin


class SuperResolutionNet(Network):
    """Residual blocks at the size of the photograph, then log2(factor) convolutions that double the size.

    Args:
        factor: Width of the picture divided by that of the photograph, a power of 2.
        width: Number of filters of every convolution but the last.
        residual_blocks: Number of residual blocks.
        norm: `batch` or `instance`.
        upsampling: `nearest` doubles every position before a convolution; `transposed` is a transposed convolution of
            stride 2.

    Source:
        Johnson, Alahi & Fei-Fei 2016, section 4.2 and supplementary table 2. Differs: reflection padding; nearest
        upsampling by default; `GAIN` of `nst.networks.johnson`.
    """

    family = "super_resolution"

    def __init__(
        self,
        *,
        factor: int = 4,
        width: int = 64,
        residual_blocks: int = 4,
        norm: Literal["batch", "instance"] = "batch",
        upsampling: Literal["nearest", "transposed"] = "nearest",
    ) -> None:
        super().__init__()
        self.factor = factor
        self.margin = 8 + 2 * residual_blocks  # 4 of the first convolution, at most 4 of all after the blocks

        def layer(channels: int, kernel: int = 3, *, up: bool = False) -> Layer:
            made_norm = nn.BatchNorm2d(width) if norm == "batch" else InstanceNorm(width)
            how = upsampling if up else None
            return Layer(channels, width, kernel, made_norm, stride=1, padding="reflect", upsampling=how)

        self.first = layer(3, 9)
        self.residual = nn.ModuleList(Residual(layer(width), layer(width)) for _ in range(residual_blocks))
        self.up = nn.ModuleList(layer(width, up=True) for _ in range(factor.bit_length() - 1))
        self.last = PaddedConv(width, 3, 9)

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        del origin
        assert isinstance(config, SuperResolutionTraining)
        return cls(
            factor=config.factor,
            width=config.width,
            residual_blocks=config.residual_blocks,
            norm=config.norm,
            upsampling=config.upsampling,
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the enlarged pictures, RGB about in [0, 1], shape (B, 3, factor H, factor W).

        Args:
            images_BCHW: RGB in [0, 1].
        """
        x_BCHW = functional.relu(self.first((images_BCHW - 0.5) * 4.0, None))  # about mean 0 and variance 1
        for block in self.residual:
            x_BCHW = block(x_BCHW, None)
        for layer in self.up:
            x_BCHW = functional.relu(layer(x_BCHW, None))
        return tanh_picture(GAIN * self.last(x_BCHW))

    def finish(self, picture_HW3: np.ndarray, photograph_HW3: np.ndarray) -> np.ndarray:
        """Return the picture with the histograms of the photograph (section 4.2), HWC uint8."""
        return match_levels(picture_HW3, photograph_HW3)
