"""The base of every trained network, the description of what it is to paint, and shared parts. Knows no architecture.

Shape letters: B images, C channels, H rows, W columns, K regions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from nst.backbones import Backbone
    from nst.config.training import Training
    from nst.errors import InputError
    from nst.pictures.masks import Labels

    Style = tuple[Tensor, ...]
    """The description of a style image that a network of any style works with."""

    Part = tuple[Style, float | Tensor]
    """A style and its share of a picture: a number, or a share of each position of the features, (1, 1, H, W)."""


@dataclass(frozen=True, slots=True)
class Painting:
    """What a network is to paint, for a batch of B pictures. A network uses the attributes that its family needs.

    Attributes:
        size: Number of rows and columns of the pictures.
        photographs: RGB in [0, 1], shape (B, 3, H, W), for networks that paint over photographs.
        seeds: Seed of the noise of each picture, for networks that take noise.
        rows: For each picture, the weights of rows, for networks that know many styles.
        mixes: For each picture, its styles with their shares, which add up to 1, for networks that know any style.
        masks: Share of every position that belongs to each region of the network, shape (B, K, H, W), for networks that
            paint masks.
        alpha: Strength of the style in [0, 1], shape (B, 1, 1, 1), for networks that blend (`Network.blends`).
    """

    size: tuple[int, int]
    photographs: Tensor | None = None
    seeds: Sequence[int] = ()
    rows: Sequence[Mapping[int, float]] = ()
    mixes: Sequence[Sequence[Part]] = ()
    masks: Tensor | None = None
    alpha: Tensor | float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """What the shape of a network depends on besides the settings of its training.

    Attributes:
        styles: Number of style images that the network is trained for.
        encoder: The backbone that the network encodes by, for families that encode.
        colors: `#rrggbb` of the regions that the network paints, for families that paint masks.
    """

    styles: int = 1
    encoder: Backbone | None = None
    colors: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network as it is traced for ONNX.

    Attributes:
        module: The module that is traced.
        inputs: Names of the module's inputs.
        example: Inputs to trace the module with.
        shapes: For each input, which of its dimensions are free (`dynamic_shapes` of `torch.export`).
    """

    module: nn.Module
    inputs: tuple[str, ...]
    example: tuple[Any, ...]
    shapes: tuple[Any, ...]


class Network(nn.Module):
    """A network that returns RGB pictures about in [0, 1], shape (B, 3, factor H, factor W), of any size.

    Attributes:
        family: Family of the network's training, or the family that an imported network serves as.
        encodes: Whether the network encodes by a backbone, which is part of its file.
        stored: Type of the numbers in the network's file; a network computes in its own type, whatever its file has.
        blends: Whether the network applies `Painting.alpha`; otherwise its pictures are blended with the photographs.
        factor: Height of a picture divided by that of the photograph. Pictures larger than their photographs are not
            blended with them.
        smallest: Smallest number of rows and of columns that the network can work on.
        multiple: Number of pixels at whose multiples tiles start.
        margin: Distance in pixels beyond a tile within which the result depends on the picture, apart from the
            statistics of norms; None if the network cannot work in tiles.
        styles: SHA-256 of the style images that the network knows, in the order of its rows.
        colors: `#rrggbb` of the regions that the network paints, in the order of its masks; empty for other families.
    """

    family: str = ""
    encodes: bool = False
    stored: torch.dtype = torch.float32
    blends: bool = False
    factor: int = 1
    smallest: int = 16
    multiple: int = 1
    margin: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.styles: tuple[str, ...] = ()
        self.colors: tuple[str, ...] = ()

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train, with first weights drawn by torch's global generator."""
        raise NotImplementedError

    @property
    def from_noise(self) -> bool:
        """Whether the network makes pictures from noise alone."""
        return False

    def paint(self, painting: Painting) -> Tensor:
        """Return the painted pictures, RGB about in [0, 1], shape (B, 3, H, W)."""
        pictures_B3HW: Tensor = self(painting.photographs)
        return pictures_B3HW

    def describe_style(self, picture_13HW: Tensor, shares: Callable[[int, int], Tensor] | None = None) -> Style:
        """Return the description of a style image or of one of its regions; only for networks that know any style.

        Args:
            picture_13HW: The style image, RGB in [0, 1].
            shares: Returns the share of each position that belongs to the region, shape (1, 1, H, W), given the rows
                and columns of a grid; None for the whole image.
        """
        raise NotImplementedError

    def refusal(self, styles: Sequence[str], mask: Labels | None) -> InputError | None:
        """Return an error if the network cannot paint these styles, given their SHA-256, or this mask; else None."""
        del styles, mask
        return None

    def regions(self, mask: Labels, width: int, height: int) -> np.ndarray:
        """Return the share of every position that belongs to each region of the network, (K, H, W), float32 in [0, 1].

        Only for networks that paint masks.

        Args:
            mask: The mask to paint.
            width: Number of columns of the result.
            height: Number of rows of the result.

        Raises:
            InputError: The mask has a colour that is like none of the network's colours.
        """
        raise NotImplementedError

    def finish(self, picture_HW3: np.ndarray, photograph_HW3: np.ndarray) -> np.ndarray:
        """Return a whole picture as users get it, given the photograph that it was made of; both HWC uint8."""
        del photograph_HW3
        return picture_HW3

    def adopt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a parent of the same family in the shapes of this network."""
        return dict(tensors)

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX."""
        photographs_B3HW, free = example_photographs()
        return Graph(self, ("images",), (photographs_B3HW,), (free,))


def example_photographs() -> tuple[Tensor, dict[int, Any]]:
    """Return photographs to trace a network with, and their free dimensions: number, rows and columns."""
    from torch.export import Dim

    free = {0: Dim("batch"), 2: Dim("height", min=16), 3: Dim("width", min=16)}
    return torch.rand(2, 3, 64, 96), free


class PaddedConv(nn.Module):
    """A convolution that continues its input beyond its border by half a kernel.

    Args:
        channels: Number of input channels.
        filters: Number of output channels.
        kernel: Side of the kernel, odd.
        stride: Distance between neighbouring positions.
        padding: How the input is continued: `zeros`, `reflect` or `circular`.
        groups: Number of groups of channels, each of which is convolved by itself.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: str = "reflect",
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.mode = "constant" if padding == "zeros" else padding
        self.conv = nn.Conv2d(channels, filters, kernel, stride, groups=groups)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the convolved features, ceil(H / stride) rows by ceil(W / stride) columns."""
        half = self.conv.kernel_size[0] // 2
        convolved: Tensor = self.conv(functional.pad(x_BCHW, (half,) * 4, mode=self.mode) if half else x_BCHW)
        return convolved


def tanh_picture(x_BCHW: Tensor) -> Tensor:
    """Return the picture (127.5 + 150 tanh(x)) / 255 of unbounded values x; its values lie a little beyond [0, 1].

    Source:
        jcjohnson/fast-neural-style (`tanh_constant` 150), lengstrom/fast-style-transfer.
    """
    return 0.5 + 150.0 / 255.0 * torch.tanh(x_BCHW)


def pad_to_multiple(x_BCHW: Tensor, multiple: int) -> Tensor:
    """Return the pictures continued by their right and lower borders until both sides are multiples of `multiple`.

    Pads by zero pixels, too: a condition on the size would fix an exported graph to the size of the traced picture.
    """
    down, right = -x_BCHW.shape[2] % multiple, -x_BCHW.shape[3] % multiple
    return functional.pad(x_BCHW, (0, right, 0, down), mode="replicate")
