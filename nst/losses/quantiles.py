"""Distributions of features along directions as quantile functions, and their squared Wasserstein-2 distance.

On a line that distance is the mean squared difference of the quantile functions. The quantile function of samples is a
step function: the sorted values, in steps of equal width. Knows no layer and no weight. Shape letters: B images, C
channels, M positions, K directions, Q quantiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

QUANTILES: Final = 1024
"""Number of steps that are kept of a style's quantile function. A style of 512 pixels takes 6 MB for five layers of
VGG-19, where its sorted features would take 128 MB and its Gram matrices 2.4 MB."""

CHUNK: Final = 1 << 22
"""Number of values of each image that are projected, sorted and compared at a time: about 130 MB of memory."""


def quantile_means(features_BCM: Tensor, directions_KC: Tensor) -> Tensor:
    """Return the quantile function along each direction, averaged over `QUANTILES` equal parts, shape (B, K, Q).

    The average of the quantile functions of several styles belongs to the Wasserstein-2 barycentre of the styles.

    Args:
        features_BCM: Features.
        directions_KC: Unit vectors.

    Example:
        >>> quantile_means(torch.rand(1, 2, 64), torch.eye(2)).shape
        torch.Size([1, 2, 1024])
    """
    chunks = _chunks(directions_KC, features_BCM.shape[2])
    return torch.cat([step_means((part @ features_BCM).sort(-1).values, QUANTILES) for _, part in chunks], 1)


def step_means(steps_BKN: Tensor, count: int) -> Tensor:
    """Return the exact means of step functions over `count` equal parts of their domain, shape (B, K, count).

    Args:
        steps_BKN: Values of N steps of equal width.
        count: Number of parts.

    Example:
        >>> step_means(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), 2)
        tensor([[[1.5000, 3.5000]]])
    """
    length = steps_BKN.shape[2]
    if length == count:
        return steps_BKN
    # Differences of the integral, which is linear between its values at n / length; in float64, since digits cancel.
    integral_BKN = functional.pad(steps_BKN.double().cumsum(-1), (1, 0))
    ends = torch.arange(count + 1, device=steps_BKN.device) * length
    below = ends // count
    above = (below + 1).clamp_max(length)
    share = (ends % count).double() / count
    at_ends = torch.lerp(integral_BKN[..., below], integral_BKN[..., above], share)
    return (at_ends.diff(dim=-1) * (count / length)).to(steps_BKN.dtype)


def quantile_distance(features_BCM: Tensor, quantiles_BKQ: Tensor, directions_KC: Tensor) -> Tensor:
    """Return each image's squared Wasserstein-2 distance, the mean over the directions, shape (B,).

    The distance is exact for any number of positions. Its gradient draws every projected feature towards the mean of
    the target's quantile function over the rank of that feature; ranks count as constants.

    Args:
        features_BCM: Features of the pictures.
        quantiles_BKQ: Quantile functions of the target along the directions.
        directions_KC: Unit vectors.

    Example:
        >>> quantile_distance(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[2.0, 4.0]]]), torch.eye(1))
        tensor([1.])
    """
    distance_B: Tensor = _QuantileDistance.apply(features_BCM, quantiles_BKQ, directions_KC)
    return distance_B


class _QuantileDistance(torch.autograd.Function):
    """Computes the gradient together with the loss, so that only one chunk of directions exists at a time."""

    @staticmethod
    def forward(ctx: Any, features_BCM: Tensor, quantiles_BKQ: Tensor, directions_KC: Tensor) -> Tensor:
        positions = features_BCM.shape[2]
        total_B = features_BCM.new_zeros(len(features_BCM))
        gradient_BCM = torch.zeros_like(features_BCM)
        for rows, part_KC in _chunks(directions_KC, positions):
            sorted_BKM, order_BKM = (part_KC @ features_BCM).sort(dim=-1, stable=True)
            steps_BKQ = quantiles_BKQ[:, rows]
            means_BKM = step_means(steps_BKQ, positions)
            away_BKM = sorted_BKM - means_BKM
            # The variance of the target within one rank, which no values of the features could reduce.
            within_BK = (steps_BKQ.square().mean(2) - means_BKM.square().mean(2)).clamp_min(0.0)
            total_B += (away_BKM.square().mean(2) + within_BK).sum(1)
            gradient_BCM += part_KC.T @ torch.empty_like(away_BKM).scatter_(2, order_BKM, away_BKM)
        count = len(directions_KC)
        ctx.save_for_backward(gradient_BCM.mul_(2.0 / (positions * count)))
        return total_B / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope_B: Tensor) -> tuple[Tensor, None, None]:
        (gradient_BCM,) = ctx.saved_tensors
        return slope_B[:, None, None] * gradient_BCM, None, None


def _chunks(directions_KC: Tensor, positions: int) -> Iterator[tuple[slice, Tensor]]:
    """Yield the directions in chunks, whose size does not depend on the batch, so that results do not either."""
    size = max(1, CHUNK // positions)
    for first in range(0, len(directions_KC), size):
        yield slice(first, first + size), directions_KC[first : first + size]
