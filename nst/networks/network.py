"""What every trained network is, and what it is asked to paint. Knows no architecture.

Shape letters: B images, C channels, H rows, W columns, K regions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
    """What a network that knows any style keeps of a style image."""

    Part = tuple[Style, float | Tensor]
    """A style and its share of a picture: a number, or how much of each position it is given, shape (1, 1, H, W) of the
    features."""


@dataclass(frozen=True, slots=True)
class Painting:
    """What a network is asked to paint, for a batch of B pictures; a network looks at what its family needs.

    Attributes:
        size: Rows and columns.
        photographs: RGB in [0, 1], shape (B, 3, H, W), for networks that paint over photographs.
        seeds: Seed of each picture's noise.
        rows: Per picture, the weight of each row of a network that knows many styles.
        mixes: Per picture, its styles and their shares, for networks that know any style; shares add up to 1.
        masks: How much of every position is each of the network's regions, shape (B, K, H, W), for networks of masks.
        alpha: Strength of the style, in [0, 1], shape (B, 1, 1, 1), for networks that blend.
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
    """What the shape of a network follows from beside its settings.

    Attributes:
        styles: How many style images it is trained for.
        encoder: The backbone that it encodes by, for families that do.
        colors: `#rrggbb` of the regions that it paints, for families of masks.
    """

    styles: int = 1
    encoder: Backbone | None = None
    colors: Sequence[str] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network as it is traced for ONNX.

    Attributes:
        module: What is traced.
        inputs: Names of its inputs.
        example: Inputs to trace it with.
        shapes: Per input, which of its sizes are free (`torch.export`).
    """

    module: nn.Module
    inputs: tuple[str, ...]
    example: tuple[Any, ...]
    shapes: tuple[Any, ...] = field(default=())


class Network(nn.Module):
    """A network that gives RGB pictures in [0, 1], shape (B, 3, H, W), of any size.

    Attributes:
        family: Training family, or the one an imported network stands in for.
        encodes: Whether it encodes by a backbone, which is part of its file.
        blends: Whether `Painting.alpha` is its own; otherwise pictures are blended after it.
        smallest: Fewest rows and columns that it can work on.
        multiple: Tiles start at multiples of this.
        margin: How far beyond a tile its result depends on the picture, in pixels, apart from statistics of norms; None
            if it cannot work in tiles.
        styles: SHA-256 of the style images that it knows, in the order of its rows.
        colors: `#rrggbb` of the regions that it paints, in the order of its masks; none for families without.
    """

    family: str = ""
    encodes: bool = False
    blends: bool = False
    smallest: int = 16
    multiple: int = 1
    margin: int | None = None

    def __init__(self) -> None:
        super().__init__()
        self.styles: tuple[str, ...] = ()
        self.colors: tuple[str, ...] = ()

    @classmethod
    def from_training(cls, config: Training, origin: Origin) -> Self:
        """Return the network that these settings train, with first weights from torch's global generator."""
        raise NotImplementedError

    @property
    def from_noise(self) -> bool:
        """Whether it makes pictures of noise alone."""
        return False

    def paint(self, painting: Painting) -> Tensor:
        """Return the pictures, shape (B, 3, H, W), about in [0, 1]."""
        pictures_B3HW: Tensor = self(painting.photographs)
        return pictures_B3HW

    def describe_style(self, picture_13HW: Tensor, shares: Callable[[int, int], Tensor] | None = None) -> Style:
        """Return what a network that knows any style keeps of a style image, or of a region of it.

        Args:
            picture_13HW: RGB in [0, 1].
            shares: Returns how much of each position of a grid the region is, given its rows and columns, shape
                (1, 1, H, W); None for the whole image.
        """
        raise NotImplementedError

    def refusal(self, styles: Sequence[str], mask: Labels | None) -> InputError | None:
        """Return why it cannot paint for these styles, by their SHA-256, or over this mask, or None."""
        del styles, mask
        return None

    def regions(self, mask: Labels, width: int, height: int) -> np.ndarray:
        """Return how much of every position is each of the network's regions, shape (K, H, W), float32 in [0, 1].

        Raises:
            InputError: The mask has a colour that is like none of the network's.
        """
        raise NotImplementedError

    def adopt(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of a parent of the same family as this network wants them."""
        return dict(tensors)

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX."""
        photographs_B3HW, free = example_photographs()
        return Graph(self, ("images",), (photographs_B3HW,), (free,))


def example_photographs() -> tuple[Tensor, dict[int, Any]]:
    """Return photographs to trace a network with, and which of their sizes are free: number, rows and columns."""
    from torch.export import Dim

    free = {0: Dim("batch"), 2: Dim("height", min=16), 3: Dim("width", min=16)}
    return torch.rand(2, 3, 64, 96), free


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
