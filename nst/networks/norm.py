"""Instance norms with a row of parameters per style, whose statistics can be fixed from outside. Knows no network.

Shape letters: B images, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

import contextlib
from itertools import repeat
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Statistics = tuple[Tensor, Tensor]
    """Mean and variance of every channel, shape (1 or B, C, 1, 1) each."""

    Watch = Callable[[Tensor, Tensor | None], None]
    """Takes features, (B, C, H, W), and the weights of their positions, (B, 1, H, W); None for equal weights."""


class InstanceNorm(nn.Module):
    """Instance norm: (x - mean) / sqrt(variance + epsilon) of each image and channel, times a scale, plus a shift.

    Args:
        channels: Number of channels.
        styles: Number of rows of parameters.
        epsilon: Number added to the variance.

    Attributes:
        fixed: Gives (mean, variance) to use instead of the statistics of the input, call by call, each of shape
            (1 or B, C, 1, 1); None to use those of the input.
        watch: Called with every input before it is normalised, and with the weights of its positions; None for nothing.

    Source:
        Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization", eq. 2, with the statistics of the image at test
        time too; Dumoulin, Shlens & Kudlur 2017, eq. 5 and section 3.2, for a row per style and the blending of rows.
        Differs: the caller normalises blended rows to add up to one; magenta's are used as given.
    """

    def __init__(self, channels: int, styles: int = 1, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))
        self.fixed: Iterator[Statistics] | None = None
        self.watch: Watch | None = None

    def forward(self, x_BCHW: Tensor, rows_BS: Tensor | None = None) -> Tensor:
        """Return the normalised features.

        Args:
            x_BCHW: Features.
            rows_BS: Weight of every row for each image; None takes the first row.
        """
        normal_BCHW = normalise(self, x_BCHW)
        if rows_BS is None:
            scale_BC, shift_BC = self.scale[:1], self.shift[:1]
        else:
            scale_BC, shift_BC = rows_BS @ self.scale, rows_BS @ self.shift
        return normal_BCHW * scale_BC[:, :, None, None].to(x_BCHW) + shift_BC[:, :, None, None].to(x_BCHW)


class Whitening(nn.Module):
    """Instance norm without parameters: the first half of AdaIN, before the content is given a style's statistics.

    It has the attributes `fixed` and `watch` of `InstanceNorm`.

    Source:
        Huang & Belongie 2017, eq. 8. Differs: the variance is biased; theirs divides by one less.
    """

    def __init__(self, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.fixed: Iterator[Statistics] | None = None
        self.watch: Watch | None = None

    def forward(self, x_BCHW: Tensor, shares_B1HW: Tensor | None = None) -> Tensor:
        """Return features of mean 0 and variance 1 over the positions that `shares_B1HW` weights (`statistics`)."""
        return normalise(self, x_BCHW, shares_B1HW)


Norm = InstanceNorm | Whitening
"""A norm whose statistics can be fixed from outside."""


def normalise(norm: Norm, x_BCHW: Tensor, shares_B1HW: Tensor | None = None) -> Tensor:
    """Return (x - mean) / sqrt(variance + epsilon), with the fixed statistics of the norm if it has any."""
    if norm.watch is not None:
        norm.watch(x_BCHW, shares_B1HW)
    mean_BC11, variance_BC11 = statistics(x_BCHW, shares_B1HW) if norm.fixed is None else next(norm.fixed)
    scale_BC11 = (variance_BC11 + norm.epsilon).rsqrt()
    return ((x_BCHW - mean_BC11) * scale_BC11).to(x_BCHW.dtype)


def statistics(x_BCHW: Tensor, shares_B1HW: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the mean and the biased variance of each image's channels, (B, C, 1, 1) each, at least in float32.

    Args:
        x_BCHW: Features.
        shares_B1HW: Weight of each position, of any positive sum; None for equal weights.
    """
    wide_BCHW = x_BCHW.float() if x_BCHW.dtype in {torch.bfloat16, torch.float16} else x_BCHW
    if shares_B1HW is not None:
        weights_B1HW = shares_B1HW.to(wide_BCHW) / shares_B1HW.to(wide_BCHW).sum((2, 3), keepdim=True)
        mean_BC11 = (weights_B1HW * wide_BCHW).sum((2, 3), keepdim=True)
        return mean_BC11, (weights_B1HW * (wide_BCHW - mean_BC11).square()).sum((2, 3), keepdim=True)
    variance_BC11, mean_BC11 = torch.var_mean(wide_BCHW, (2, 3), correction=0, keepdim=True)
    return mean_BC11, variance_BC11


def norms(network: nn.Module) -> list[Norm]:
    """Return the norms of a network in the order in which they were made, which is the order of the forward pass."""
    return [module for module in network.modules() if isinstance(module, InstanceNorm | Whitening)]


def joint_statistics(network: nn.Module, apply: Callable[[], object]) -> list[Statistics]:
    """Return the statistics of every norm over all pictures that a call gives the network, in the order of `norms`.

    Args:
        network: The network.
        apply: Passes the pictures through the network, all in one batch.

    Source:
        Wang et al. 2020, "Consistent video style transfer via relaxation and regularization", section 3.4
        (sequence-level global feature sharing). Differs: one pass, in which each norm already uses what it holds.
    """
    held = norms(network)
    found: dict[Norm, Statistics] = {}
    try:
        for norm in held:
            norm.watch = _holds(norm, found)
        apply()
        return [found[norm] for norm in held if norm in found]
    finally:
        for norm in held:
            norm.fixed = norm.watch = None


@contextlib.contextmanager
def held_statistics(network: nn.Module, found: Sequence[Statistics]) -> Iterator[None]:
    """Fix the statistics of every norm within the context, given those that `joint_statistics` found."""
    held = norms(network)
    try:
        for norm, statistics_of_norm in zip(held, found, strict=True):
            norm.fixed = repeat(statistics_of_norm)
        yield
    finally:
        for norm in held:
            norm.fixed = None


def _holds(norm: Norm, found: dict[Norm, Statistics]) -> Watch:
    """Return a function that fixes a norm's statistics to those over all images of its input, and notes them."""

    def hold(x_BCHW: Tensor, shares_B1HW: Tensor | None) -> None:
        del shares_B1HW
        mean_BC11, variance_BC11 = statistics(x_BCHW)
        mean_1C11 = mean_BC11.mean(0, keepdim=True)
        # The mean of squares less the square of the mean: images have equally many positions.
        spread_1C11 = (mean_BC11 - mean_1C11).square().mean(0, keepdim=True)
        found[norm] = mean_1C11, variance_BC11.mean(0, keepdim=True) + spread_1C11
        norm.fixed = repeat(found[norm])

    return hold
