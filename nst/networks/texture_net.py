"""The network of `texture_net`, a generator fed by noise at several scales (Ulyanov et al. 2016). Knows no loss.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.config.training import TextureNetTraining
from nst.networks.network import Graph, Network, PaddedConv, tanh_picture
from nst.networks.norm import InstanceNorm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.training import Training
    from nst.networks.network import Origin, Painting

NOISE_CHANNELS = 3
"""Number of channels of the noise at every scale (3 in Ulyanov et al. 2016 section 3.2)."""


class TextureNet(Network):
    """Convolves noise at every scale and joins it with the result of the coarser scale.

    Makes textures g(z) from noise z, or pictures g(z, c) guided by photographs or masks c.

    Args:
        guide: Number of channels that are joined to the noise at every scale: 3 of a photograph, those of masks, or 0.
        scales: Number of scales, each half the size of the next.
        width: Number of filters that each scale adds.
        norm: `instance` or `batch`.
        padding: Padding of every convolution; `circular` makes pictures that tile.

    Source:
        Ulyanov, Lebedev, Vedaldi & Lempitsky 2016, section 3.2 and figure 2. Differs: tanh bounds the picture.
    """

    family = "texture_net"
    gain = 1.0
    """Factor of the last convolution's result."""
    start = 0.1
    """Factor of the first weights of the last convolution. Without it first pictures are saturated, and black spots
    stay to the end: in an own trial (gravel at 64 pixels, 400 steps with batches of 4) the loss came to 0.58 without
    the factor and to 0.47 with 0.1. `gain` comes lower still, 0.38, but by a pattern that repeats every few pixels."""
    guided_by = "images"
    """Name of the guide among the inputs of an exported graph."""

    def __init__(
        self,
        *,
        guide: int = 0,
        scales: int = 6,
        width: int = 8,
        norm: Literal["instance", "batch"] = "instance",
        padding: Literal["circular", "reflect", "zeros"] = "circular",
    ) -> None:
        super().__init__()
        self.guide = guide
        self.scales = scales
        self.smallest = self.multiple = 2**scales  # two rows at the coarsest scale
        given = NOISE_CHANNELS + guide

        def block(channels: int, filters: int) -> nn.Sequential:
            layers: list[nn.Module] = []
            for kernel in (3, 3, 1):
                layers += [
                    PaddedConv(channels, filters, kernel, padding=padding),
                    _norm(norm, filters),
                    nn.LeakyReLU(0.01),
                ]
                channels = filters
            return nn.Sequential(*layers)

        self.noise = nn.ModuleList(block(given, width) for _ in range(scales))
        self.join = nn.ModuleList(block(width * level, width * level) for level in range(2, scales + 1))
        self.join_new = nn.ModuleList(_norm(norm, width) for _ in range(scales - 1))
        self.join_coarse = nn.ModuleList(_norm(norm, width * level) for level in range(1, scales))
        self.last = nn.Conv2d(width * scales, 3, 1)
        with torch.no_grad():
            for parameter in self.last.parameters():
                parameter.mul_(self.start)

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train."""
        del origin
        assert isinstance(config, TextureNetTraining)
        return cls(
            guide=3 * (config.mode == "stylize"),
            scales=config.scales,
            width=config.width,
            norm=config.norm,
            padding=config.padding,
        )

    @property
    def from_noise(self) -> bool:
        """Whether the network makes pictures from noise alone."""
        return not self.guide

    def paint(self, painting: Painting) -> Tensor:
        """Return pictures from noise, over the photographs if the network was trained with photographs."""
        pictures_B3HW: Tensor = self(self.draw(*painting.size, painting.seeds), painting.photographs)
        return pictures_B3HW

    def forward(self, noise: Sequence[Tensor], guide_BCHW: Tensor | None = None) -> Tensor:
        """Return pictures of the size of the finest noise.

        Args:
            noise: Noise of all scales, coarse to fine, as `draw` returns it.
            guide_BCHW: Photographs or masks in [0, 1], of the size of the finest noise; None for a network without a
                guide.
        """
        x_BCHW: Tensor | None = None
        for level, noise_BCHW in enumerate(noise):
            new_BCHW = noise_BCHW
            if self.guide:
                assert guide_BCHW is not None
                small_BCHW = _shrink(guide_BCHW, noise_BCHW.shape[2:])
                new_BCHW = torch.cat([noise_BCHW, (small_BCHW - 0.5) * 4.0], 1)
            new_BCHW = self.noise[level](new_BCHW)
            if x_BCHW is None:
                x_BCHW = new_BCHW
                continue
            rows, columns = new_BCHW.shape[2:]
            coarse_BCHW = functional.interpolate(x_BCHW, scale_factor=2.0, mode="nearest")[..., :rows, :columns]
            joined = [self.join_new[level - 1](new_BCHW), self.join_coarse[level - 1](coarse_BCHW)]
            x_BCHW = self.join[level - 1](torch.cat(joined, 1))
        assert x_BCHW is not None
        return tanh_picture(self.gain * self.last(x_BCHW))

    def draw(self, height: int, width: int, seeds: Sequence[int]) -> list[Tensor]:
        """Return uniform noise in [0, 1] of all scales, coarse to fine, (B, 3, h, w) each; equal on every device.

        Args:
            height: Number of rows of the finest noise.
            width: Number of columns of the finest noise.
            seeds: Seed of each picture.
        """
        pyramid = []
        for level in reversed(range(self.scales)):
            size = -(-height // 2**level), -(-width // 2**level)
            pictures = [
                torch.rand((NOISE_CHANNELS, *size), generator=torch.Generator().manual_seed(seed * 16 + level))
                for seed in seeds
            ]
            pyramid.append(torch.stack(pictures).to(self.last.weight))
        return pyramid

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX, with its guide, if any, and `noise_0` (the coarsest) ..."""
        from torch.export import Dim

        batch, rows, columns = Dim("batch"), Dim("coarse_height", min=2), Dim("coarse_width", min=2)
        sizes = [{0: batch, 2: 2**level * rows, 3: 2**level * columns} for level in range(self.scales)]
        names = tuple(f"noise_{level}" for level in range(self.scales))
        side = 2 ** (self.scales + 1)
        noise = self.draw(side, 2 * side, [0, 1])
        if not self.guide:
            return Graph(self, names, (noise,), (sizes,))
        guide_BCHW = torch.rand(2, self.guide, side, 2 * side)
        return Graph(_Guided(self), (self.guided_by, *names), (guide_BCHW, noise), (sizes[-1], sizes))


class _Guided(nn.Module):
    def __init__(self, network: TextureNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, guide: Tensor, noise: list[Tensor]) -> Tensor:
        pictures_BCHW: Tensor = self.network(noise, guide)
        return pictures_BCHW


def _norm(norm: str, channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels) if norm == "batch" else InstanceNorm(channels)


def _shrink(images_BCHW: Tensor, size: torch.Size) -> Tensor:
    return functional.adaptive_avg_pool2d(images_BCHW, (size[0], size[1]))
