"""The style loss by first and second moments, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.ops import gram_matrix, sqrt_symmetric, trace, trace_sqrt

if TYPE_CHECKING:
    from torch import Tensor

RIDGE = 1e-4
"""Number added to the diagonal of every covariance, as a share of the target's mean variance, so that the root of the
covariance exists and has a gradient."""


def moments_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics of a style, which mixing averages: (mean_BC, second_raw_moment_BCC).

    Example:
        >>> [part.tolist() for part in moments_statistics(torch.full((1, 1, 2, 2), 3.0))]
        [[[3.0]], [[[9.0]]]]
    """
    return features_BCHW.mean((2, 3)), gram_matrix(features_BCHW)


def moments_prepare(target: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return what the distance needs of a target, computed once: (mean_BC, covariance_BCC, root_BCC, ridge_BCC).

    Example:
        >>> len(moments_prepare(moments_statistics(torch.rand(1, 4, 8, 8))))
        4
    """
    mean_BC, second_BCC = target
    covariance_BCC = second_BCC - mean_BC[:, :, None] * mean_BC[:, None, :]
    channels = mean_BC.shape[1]
    identity_CC = torch.eye(channels, dtype=mean_BC.dtype, device=mean_BC.device)
    ridge_BCC = RIDGE * (trace(covariance_BCC) / channels).clamp_min(1e-12)[:, None, None] * identity_CC
    covariance_BCC = covariance_BCC + ridge_BCC
    return mean_BC, covariance_BCC, sqrt_symmetric(covariance_BCC), ridge_BCC


def moments_distance(statistics: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's squared Wasserstein-2 distance of the Gaussians with these moments, shape (B,).

    This is |m - m_t|^2 + tr(S + S_t - 2 (S_t^1/2 S S_t^1/2)^1/2), with means m, m_t and covariances S, S_t.

    Args:
        statistics: (mean_BC, second_raw_moment_BCC) of the pictures.
        target: Result of `moments_prepare` for the style.

    Source:
        crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/style_transfer.py StyleLossW2. Differs: the sum
        over channels instead of the mean (`nst.losses.units` converts), and a ridge relative to the target instead of
        1e-4.

    Example:
        >>> low, high = (moments_statistics(torch.full((1, 1, 2, 2), value)) for value in (3.0, 5.0))
        >>> moments_distance(high, moments_prepare(low)).round(decimals=4)
        tensor([4.])
    """
    mean_BC, second_BCC = statistics
    target_mean_BC, target_covariance_BCC, root_BCC, ridge_BCC = target
    covariance_BCC = second_BCC - mean_BC[:, :, None] * mean_BC[:, None, :] + ridge_BCC
    cross_B = trace_sqrt(root_BCC @ covariance_BCC @ root_BCC)
    spread_B = trace(covariance_BCC) + trace(target_covariance_BCC) - 2.0 * cross_B
    return (mean_BC - target_mean_BC).square().sum(1) + spread_B


def moments_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return each target's mean squared feature vector, shape (B,): its distance from features that are all zero.

    Example:
        >>> moments_energy(moments_statistics(torch.full((1, 1, 2, 2), 3.0)))
        tensor([9.])
    """
    return trace(target[1])
