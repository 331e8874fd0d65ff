"""The style loss by the sliced Wasserstein distance, per image. Knows no layer and no weight."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import torch

from nst.losses.quantiles import over_ranks, quantile_distance, quantile_function

if TYPE_CHECKING:
    from torch import Tensor

SEED: Final = 2021
"""Seed of the directions, which are the same for every picture, style, step and device."""

STRENGTH: Final = 3.0
"""Relative loss of features that are all zero, which is 1 for other style losses. Distributions along single directions
differ less than distributions of whole features. With this factor a style weight gives about the same strength as with
Gram matrices: in an own trial without it (Tuebingen x Starry Night, normalised VGG-19, 160 pixels), a weight of 300
looked as 100 does with Gram matrices."""


def sliced_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics of a style, which mixing averages: (quantiles_BKQ, within_B).

    These are its quantiles along each direction, and the variance that `sliced_fit` leaves out, zero as yet.

    Example:
        >>> sliced_statistics(torch.rand(1, 4, 8, 8))[0].shape
        torch.Size([1, 4, 64])
    """
    quantiles_BKQ = quantile_function(features_BCHW.flatten(2), directions(features_BCHW.shape[1]).to(features_BCHW))
    return quantiles_BKQ, quantiles_BKQ.new_zeros(len(quantiles_BKQ))


def sliced_fit(statistics: tuple[Tensor, ...], positions: int) -> tuple[Tensor, ...]:
    """Return the statistics of a style as pictures of another size see them: (quantiles_BKM, within_B).

    Args:
        statistics: Result of `sliced_statistics`.
        positions: M, the number of positions of the pictures.

    Example:
        >>> sliced_fit(sliced_statistics(torch.rand(1, 4, 8, 8)), positions=9)[0].shape
        torch.Size([1, 4, 9])
    """
    return over_ranks(statistics[0], positions)


def sliced_observe(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return what the loss compares of a picture: (features_BCHW,), the features unchanged.

    Example:
        >>> sliced_observe(torch.rand(1, 4, 8, 8))[0].shape
        torch.Size([1, 4, 8, 8])
    """
    return (features_BCHW,)


def sliced_prepare(target: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the target together with the directions: (quantiles_BKQ, within_B, directions_KC).

    Example:
        >>> [part.shape for part in sliced_prepare(sliced_statistics(torch.rand(1, 4, 8, 8)))]
        [torch.Size([1, 4, 64]), torch.Size([1]), torch.Size([4, 4])]
    """
    quantiles_BKQ, within_B = target
    return quantiles_BKQ, within_B, directions(quantiles_BKQ.shape[1]).to(quantiles_BKQ)


def sliced_distance(observed: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's squared sliced Wasserstein-2 distance, the mean over directions, shape (B,).

    Args:
        observed: (features_BCHW,) of the pictures.
        target: Result of `sliced_prepare` for the style.

    Source:
        Heitz, Vanhoey, Chambon & Belcour 2021, "A Sliced Wasserstein Loss for Neural Texture Synthesis", section 3,
        which also takes as many directions as channels. Differs: the directions are not drawn anew at every step but
        fixed, so that L-BFGS and a resumed run see a single function, and orthogonal, so that together they see all of
        the features; pictures and styles of different sizes are compared exactly, without repeating samples; the loss
        of a mix of larger styles has a constant that is an upper bound.

    Example:
        >>> low, high = (torch.full((1, 1, 4, 4), value) for value in (3.0, 5.0))
        >>> sliced_distance(sliced_observe(high), sliced_prepare(sliced_statistics(low)))
        tensor([4.])
    """
    quantiles_BKQ, within_B, directions_KC = target
    return quantile_distance(observed[0].flatten(2), quantiles_BKQ, directions_KC) + within_B


def sliced_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return each target's mean square along the directions, of a mix nearly, divided by `STRENGTH`, shape (B,).

    Example:
        >>> sliced_energy(sliced_statistics(torch.full((1, 1, 4, 4), 3.0)))
        tensor([3.])
    """
    quantiles_BKQ, within_B = target
    return (quantiles_BKQ.square().mean((1, 2)) + within_B) / STRENGTH


@cache
def directions(channels: int) -> Tensor:
    """Return the rows of a random rotation, float64: as many unit vectors as channels, each of uniform direction.

    Example:
        >>> (directions(3) @ directions(3).T).round(decimals=6).tolist() == torch.eye(3).tolist()
        True
    """
    generator = torch.Generator().manual_seed(SEED)
    normal_CC = torch.randn((channels, channels), generator=generator, dtype=torch.float64)
    rotation_CC: Tensor = torch.linalg.qr(normal_CC).Q  # the sign of a row makes no difference to distances along it
    return rotation_CC
