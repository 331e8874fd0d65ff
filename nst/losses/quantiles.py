"""Distributions of features along directions as quantile functions, and their squared Wasserstein-2 distance.

On a line that distance is the mean squared difference of the quantile functions. The quantile function of samples is a
step function: the sorted values, in steps of equal width. Knows no layer and no weight. Shape letters: B images, C
channels, M positions, K directions, Q steps of a target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

MOST_VALUES: Final = 1 << 24
"""Largest number of values that are kept of a style at one layer: 64 MiB in float32. With VGG's layers, the sorted
features of a style of up to 512 x 512 pixels are kept whole, 128 MiB for the five layers of `gatys`, half as much as
the features of one picture take there. Of larger styles, neighbouring ranks are averaged: four at relu1_1 and two at
relu2_1 for 1024 x 1024 pixels."""

CHUNK: Final = 1 << 22
"""Number of values of each image that are projected, sorted and compared at a time: about 130 MB of memory."""


def quantile_function(features_BCM: Tensor, directions_KC: Tensor) -> Tensor:
    """Return the quantile function along each direction, shape (B, K, Q): all M values, sorted, unless they are many.

    There are as many steps as positions if that makes at most `MOST_VALUES` values; else as many as make no more. The
    average of the quantile functions of several styles belongs to the Wasserstein-2 barycentre of the styles.

    Args:
        features_BCM: Features.
        directions_KC: Unit vectors.

    Example:
        >>> quantile_function(torch.tensor([[[3.0, 1.0, 2.0]]]), torch.eye(1))
        tensor([[[1., 2., 3.]]])
    """
    positions = features_BCM.shape[2]
    count = min(positions, max(1, MOST_VALUES // len(directions_KC)))
    chunks = _chunks(directions_KC, positions)
    return torch.cat([step_means((part @ features_BCM).sort(-1).values, count) for _, part in chunks], 1)


def over_ranks(functions_BKQ: Tensor, positions: int) -> tuple[Tensor, Tensor]:
    """Return the mean of quantile functions over each rank of a picture, and what of their spread lies within ranks.

    Args:
        functions_BKQ: Quantile functions of a target.
        positions: M, the number of positions of the picture.

    Returns:
        The means, shape (B, K, M), and the mean variance within ranks, shape (B,), which is zero if Q = M. No picture
        of this size is closer to the target than by this variance.

    Example:
        >>> over_ranks(torch.tensor([[[1.0, 3.0]]]), positions=1)
        (tensor([[[2.]]]), tensor([1.]))
    """
    means_BKM = step_means(functions_BKQ, positions)
    if means_BKM is functions_BKQ:
        return functions_BKQ, functions_BKQ.new_zeros(len(functions_BKQ))
    within_BK = functions_BKQ.square().mean(2) - means_BKM.square().mean(2)
    return means_BKM, within_BK.clamp_min(0.0).mean(1)


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
    ends = torch.arange(count + 1, device=steps_BKN.device) * length
    below = ends // count
    above = (below + 1).clamp_max(length)
    share = (ends % count).double() / count
    means = []
    for part_BKN in torch.split(steps_BKN, max(1, CHUNK // max(length, count)), 1):
        # Differences of the integral, which is linear between its values at n / length; in float64: digits cancel.
        integral_BKN = functional.pad(part_BKN.double().cumsum(-1), (1, 0))
        at_ends = torch.lerp(integral_BKN[..., below], integral_BKN[..., above], share)
        means.append((at_ends.diff(dim=-1) * (count / length)).to(steps_BKN.dtype))
    return torch.cat(means, 1)


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
            means_BKM, within_B = over_ranks(quantiles_BKQ[:, rows], positions)
            away_BKM = sorted_BKM - means_BKM
            total_B += away_BKM.square().mean(2).sum(1) + within_B * len(part_KC)
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
