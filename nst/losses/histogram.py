"""The style loss by Gram matrices and histograms of channels together, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.losses.quantiles import over_ranks, quantile_distance, quantile_function

if TYPE_CHECKING:
    from torch import Tensor

SHARE: Final = 0.5
"""Share of the histograms in the loss; the Gram matrices have the rest."""


def histogram_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics of a style, which mixing averages: (quantiles_BCQ, within_B, gram_BCC).

    The variance that `histogram_fit` leaves out of the quantiles is zero as yet.

    Example:
        >>> [part.shape for part in histogram_statistics(torch.rand(1, 4, 8, 8))]
        [torch.Size([1, 4, 64]), torch.Size([1]), torch.Size([1, 4, 4])]
    """
    quantiles_BCQ = quantile_function(features_BCHW.flatten(2), _axes(features_BCHW))
    return quantiles_BCQ, quantiles_BCQ.new_zeros(len(quantiles_BCQ)), *gram_statistics(features_BCHW)


def histogram_fit(statistics: tuple[Tensor, ...], positions: int) -> tuple[Tensor, ...]:
    """Return the statistics of a style as pictures of another size see them: (quantiles_BCM, within_B, gram_BCC).

    Args:
        statistics: Result of `histogram_statistics`.
        positions: M, the number of positions of the pictures.

    Example:
        >>> histogram_fit(histogram_statistics(torch.rand(1, 4, 8, 8)), positions=9)[0].shape
        torch.Size([1, 4, 9])
    """
    return *over_ranks(statistics[0], positions), statistics[2]


def histogram_observe(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return what the loss compares of a picture: (features_BCHW, gram_BCC).

    Example:
        >>> [part.shape for part in histogram_observe(torch.rand(1, 4, 8, 8))]
        [torch.Size([1, 4, 8, 8]), torch.Size([1, 4, 4])]
    """
    return features_BCHW, *gram_statistics(features_BCHW)


def histogram_prepare(target: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return the target with a factor of shape (B,) that brings its histograms to the scale of its Gram matrices.

    Example:
        >>> histogram_prepare(histogram_statistics(torch.full((1, 1, 4, 4), 3.0)))[3]
        tensor([9.])
    """
    quantiles_BCQ, within_B, gram_BCC = target
    squares_B = quantiles_BCQ.square().mean((1, 2)) + within_B
    return *target, gram_energy((gram_BCC,)) / squares_B.clamp_min(1e-30)


def histogram_distance(observed: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's distance of Gram matrices plus the distance of its features to remapped ones, shape (B,).

    This is (1 - s) |G - A|_F^2 / |A|_F^2 + s mean (F - R(F))^2 / mean S^2, times |A|_F^2, with s = `SHARE`. R gives
    each channel the values of the style's features S, rank by rank: exact histogram matching without bins. R(F) counts
    as a constant in the gradient, which is right wherever the order of the features does not change.

    Args:
        observed: Result of `histogram_observe` for the pictures.
        target: Result of `histogram_prepare` for the style.

    Source:
        Risser, Wilmot & Barnes 2017, "Stable and Controllable Neural Texture Synthesis and Style Transfer Using
        Histogram Losses", eq. 6 and 7. Differs: relative to the energies; at every style layer (instead of relu1_1 and
        relu4_1); exact ranks (instead of 256 bins).

    Example:
        >>> style = torch.full((1, 1, 4, 4), 3.0)
        >>> histogram_distance(histogram_observe(style), histogram_prepare(histogram_statistics(style)))
        tensor([0.])
    """
    features_BCHW, gram_BCC = observed
    quantiles_BCQ, within_B, target_BCC, factor_B = target
    histograms_B = quantile_distance(features_BCHW.flatten(2), quantiles_BCQ, _axes(features_BCHW)) + within_B
    return (1.0 - SHARE) * gram_distance((gram_BCC,), (target_BCC,)) + SHARE * factor_B * histograms_B


def histogram_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return the squared Frobenius norm of each target, shape (B,): the loss of features that are all zero.

    Example:
        >>> histogram_energy(histogram_statistics(torch.full((1, 1, 4, 4), 3.0)))
        tensor([81.])
    """
    return gram_energy(target[2:])


def _axes(features_BCHW: Tensor) -> Tensor:
    """Return the axes of the channels as directions, shape (C, C)."""
    return torch.eye(features_BCHW.shape[1], dtype=features_BCHW.dtype, device=features_BCHW.device)
