"""What every trained network is. Knows no architecture."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Network(nn.Module):
    """A network that gives RGB pictures in [0, 1], shape (B, 3, H, W), of any size.

    Attributes:
        family: Of `nst.config.training`, or that an external network takes the place of.
        smallest: Fewest rows and columns that it can work on.
        multiple: Tiles start at multiples of this.
        margin: How far beyond a tile its result depends on the picture, in pixels, apart from statistics of norms; None
            if it cannot work in tiles.
        styles: SHA-256 of the style images that it knows, in the order of its rows.
        colors: `#rrggbb` of the regions that it paints, in the order of its masks; none for families without.
    """

    family: str = ""
    smallest: int = 16
    multiple: int = 1
    margin: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.styles: tuple[str, ...] = ()
        self.colors: tuple[str, ...] = ()


class PaddedConv(nn.Module):
    """A convolution that continues its input by half a kernel, in a way of choice.

    Args:
        channels: Of the input.
        filters: Of the output.
        kernel: Odd side of the kernel.
        stride: Step between positions.
        padding: How the input is continued.
    """

    def __init__(self, channels: int, filters: int, kernel: int, *, stride: int = 1, padding: str = "reflect") -> None:
        super().__init__()
        self.mode = "constant" if padding == "zeros" else padding
        self.conv = nn.Conv2d(channels, filters, kernel, stride)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the convolved features, ceil(H / stride) by ceil(W / stride)."""
        half = self.conv.kernel_size[0] // 2
        convolved: Tensor = self.conv(functional.pad(x_BCHW, (half,) * 4, mode=self.mode) if half else x_BCHW)
        return convolved


def tanh_picture(x_BCHW: Tensor) -> Tensor:
    """Return a picture of unbounded values: 127.5 + 150 tanh(x) of 255, a little beyond [0, 1].

    Source:
        jcjohnson/fast-neural-style (`tanh_constant` 150), lengstrom/fast-style-transfer.
    """
    return 0.5 + 150.0 / 255.0 * torch.tanh(x_BCHW)


def pad_to_multiple(x_BCHW: Tensor, multiple: int) -> Tensor:
    """Return the pictures continued to the right and below by their borders until both sides are multiples.

    Also where nothing is missing: a condition on the size would become that of the traced picture in an exported graph.
    """
    down, right = -x_BCHW.shape[2] % multiple, -x_BCHW.shape[3] % multiple
    return functional.pad(x_BCHW, (0, right, 0, down), mode="replicate")
