"""MicroAST (Wang et al. 2023), any style in one pass of a network of 0.47 million parameters, as its authors save it.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst.networks.adain import moments
from nst.networks.importing.taking import check_all_known, fill, take
from nst.networks.network import Graph, Network, PaddedConv, example_photographs, pad_to_multiple
from nst.networks.norm import Whitening, statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from nst.networks.network import Painting, Part, Style

_FILTERS: Final = 64
"""Number of channels of the feature maps that take a style, at a quarter of the picture's resolution."""

PARTS: Final = ("content_encoder", "style_encoder", "modulator", "decoder")
"""The parts of the network, each of which has a file of its own where its authors publish it."""

MARKS: Final = ("style_encoder.enc1.0.conv_layer.weight",)
"""Names that files of this network have, and those of no other."""


class MicroAst(Network):
    """Gives features of the content, at two depths, the statistics of the style, and modulates the decoder by it.

    A style is described by the means and deviations of its features at both depths, and by a weight and a bias of every
    channel for each of the decoder's two residual blocks.

    Source:
        Wang, Zhao, Zuo, Li, Chen, Xing & Lu 2023, "MicroAST: Towards super-fast ultra-resolution arbitrary style
        transfer", section 3; EndyWon/MicroAST `net_microAST.py` (`TestNet`). Their `alpha` blends the
        statistics alone, not the modulation, and so does this one. Differs: biased variances; mixes of styles and
        masks, which theirs has not; pictures whose sides are no multiples of 4 are continued by their borders, and the
        result is cut.
    """

    family = "adain"
    blends = True
    multiple = 4
    margin = 64

    def __init__(self) -> None:
        super().__init__()
        self.content_encoder, self.style_encoder = _Encoder(), _Encoder()
        self.modulator = nn.ModuleDict(
            {f"{what}{depth}": nn.Sequential(_depthwise(_FILTERS)) for what in ("weight", "bias") for depth in (1, 2)}
        )
        self.decoder = _Decoder()
        self.whiten = nn.ModuleList([Whitening(), Whitening()])

    def paint(self, painting: Painting) -> Tensor:
        """Return the photographs, each in its mix of styles."""
        pictures_B3HW: Tensor = self(painting.photographs, painting.mixes, painting.alpha)
        return pictures_B3HW

    def describe_style(self, picture_13HW: Tensor, shares: Callable[[int, int], Tensor] | None = None) -> Style:
        """Return (mean, deviation, weight, bias) of the first depth and those of the second, (1, C, 1, 1) each."""
        described: list[Tensor] = []
        for depth, features_1CHW in enumerate(
            self.style_encoder(pad_to_multiple(picture_13HW, self.multiple)), start=1
        ):
            shares_11HW = None if shares is None else shares(*features_1CHW.shape[2:])
            described += moments(features_1CHW, shares_11HW)
            for what in ("weight", "bias"):
                described.append(statistics(self.modulator[f"{what}{depth}"](features_1CHW), shares_11HW)[0])
        return tuple(described)

    def forward(self, images_BCHW: Tensor, mixes: Sequence[Sequence[Part]], alpha: Tensor | float = 1.0) -> Tensor:
        """Return the stylized pictures.

        Args:
            images_BCHW: RGB in [0, 1].
            mixes: For each image, its styles with their shares, which add up to 1 at every position.
            alpha: Share of the exchanged statistics against those of the content, in [0, 1]; a number or shape
                (B, 1, 1, 1).
        """
        alphas = torch.as_tensor(alpha, device=images_BCHW.device).expand(len(images_BCHW), 1, 1, 1)
        each = zip(images_BCHW, mixes, alphas, strict=True)
        return torch.cat([self.stylize(image_3HW[None], parts, own_alpha) for image_3HW, parts, own_alpha in each])

    def stylize(self, images_BCHW: Tensor, parts: Sequence[Part], alpha: Tensor) -> Tensor:
        """Return the pictures in one mix of styles."""
        _, x_BCHW = self.content_encoder(pad_to_multiple(images_BCHW, self.multiple))
        for depth, block in ((2, self.decoder.dec1), (1, self.decoder.dec2)):  # the deepest statistics come first
            described = [(style[4 * depth - 4 : 4 * depth], share) for style, share in parts]
            whiten = self.whiten[2 - depth]
            exchanged_BCHW, weight, bias = torch.zeros_like(x_BCHW), torch.zeros(()), torch.zeros(())
            for (mean, deviation, own_weight, own_bias), share in described:
                shares_11HW = share if isinstance(share, Tensor) else None
                exchanged_BCHW = exchanged_BCHW + share * (whiten(x_BCHW, shares_11HW) * deviation + mean)
                weight, bias = weight.to(x_BCHW) + share * own_weight, bias.to(x_BCHW) + share * own_bias
            x_BCHW = block.modulated(alpha * exchanged_BCHW + (1.0 - alpha) * x_BCHW, weight, bias)
        pictures_BCHW: Tensor = self.decoder.dec3(x_BCHW)
        return pictures_BCHW[..., : images_BCHW.shape[2], : images_BCHW.shape[3]]

    def graph(self) -> Graph:
        """Return the network as it is traced for ONNX, with inputs `images`, `style` and `alpha`."""
        from torch.export import Dim

        photographs_B3HW, free = example_photographs()
        free_style = {0: free[0], 2: Dim("style_height", min=16), 3: Dim("style_width", min=16)}
        example = photographs_B3HW, torch.rand(2, 3, 96, 80), torch.ones(2)
        return Graph(_InOneStyle(self), ("images", "style", "alpha"), example, (free, free_style, {0: free[0]}))


def microast(tensors: Mapping[str, Tensor]) -> MicroAst:
    """Return the network of the files of MicroAST.

    Args:
        tensors: Tensors under the authors' names, each after the name of its part (`PARTS`) and a dot.

    Raises:
        InputError: A tensor is missing, superfluous, of another shape, or not finite.
    """
    network = MicroAst()
    theirs = {name: name.replace(".conv.", ".conv_layer.") for name, _ in network.named_parameters()}
    check_all_known(tensors, set(theirs.values()))
    shapes = {name: tuple(parameter.shape) for name, parameter in network.named_parameters()}
    fill(network, {name: take(tensors, theirs[name], shape) for name, shape in shapes.items()})
    return network


class _InOneStyle(nn.Module):
    def __init__(self, network: MicroAst) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, style: Tensor, alpha: Tensor) -> Tensor:
        described = self.network.describe_style(style)
        return self.network.stylize(images, [(described, 1.0)], alpha[:, None, None, None])


class _Residual(nn.Module):
    """Two convolutions whose result is added to their input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = PaddedConv(_FILTERS, _FILTERS, 3), PaddedConv(_FILTERS, _FILTERS, 3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return the sum of the input and of what the convolutions make of it."""
        added_BCHW: Tensor = self.conv2(functional.relu(self.conv1(x_BCHW)))
        return x_BCHW + added_BCHW

    def modulated(self, x_BCHW: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the same, with each convolution's result times `weight`, plus its input times `bias`."""
        inner_BCHW = functional.relu(weight * self.conv1(x_BCHW) + bias * x_BCHW)
        added_BCHW: Tensor = weight * self.conv2(inner_BCHW) + bias * inner_BCHW
        return x_BCHW + added_BCHW


class _Encoder(nn.Module):
    """Features at a quarter of the resolution, at two depths; each halving is depthwise, and mixes channels next."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1 = nn.Sequential(
            PaddedConv(3, 16, 9), nn.ReLU(), _depthwise(16, 32, stride=2), nn.ReLU(), PaddedConv(32, 32, 1), nn.ReLU(),
            _depthwise(32, 64, stride=2), nn.ReLU(), PaddedConv(64, 64, 1), nn.ReLU(), _Residual(),
        )  # fmt: skip
        self.enc2 = nn.Sequential(_Residual())

    def forward(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both depths."""
        first_BCHW = self.enc1(images_BCHW)
        return first_BCHW, self.enc2(first_BCHW)


class _Decoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.dec1, self.dec2 = _Residual(), _Residual()
        self.dec3 = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="bilinear"), _depthwise(64, 32), nn.ReLU(), PaddedConv(32, 32, 1),
            nn.ReLU(), nn.Upsample(scale_factor=2, mode="bilinear"), _depthwise(32, 16), nn.ReLU(),
            PaddedConv(16, 16, 1), nn.ReLU(), PaddedConv(16, 3, 9),
        )  # fmt: skip


def _depthwise(channels: int, filters: int | None = None, stride: int = 1) -> PaddedConv:
    """Return a convolution of as many groups as its smaller side has channels."""
    filters = channels if filters is None else filters
    return PaddedConv(channels, filters, 3, stride=stride, groups=min(channels, filters))
