"""The style loss by first and second moments, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch

from nst.ops import gram_matrix, sqrt_symmetric, trace, trace_sqrt

if TYPE_CHECKING:
    from torch import Tensor

RIDGE: Final = 1e-4
"""Number added to the diagonal of every covariance, in squared units of the features, so that the root of the
covariance exists and has a gradient: crowsonkb's. The mean variance of a channel is 0.4 to 10 with the weights of
torchvision, `embedded` and `random` ones at the first layers, 1e3 to 1e5 with those of Caffe. The share of the ridge in
the loss of such features is below 5e-4."""


def moments_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics of a style, which mixing averages: (mean_BC, second_raw_moment_BCC).

    Example:
        >>> [part.tolist() for part in moments_statistics(torch.full((1, 1, 2, 2), 3.0))]
        [[[3.0]], [[[9.0]]]]
    """
    return features_BCHW.mean((2, 3)), gram_matrix(features_BCHW)


def moments_prepare(target: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return what the distance needs of a target, computed once: (mean_BC, covariance_BCC, root_BCC).

    The root is in float64 on a CPU, and the product with it as well: with fewer positions than channels most variances
    are as small as the ridge, and rounded to float32 they are lost beside the large ones.

    Example:
        >>> len(moments_prepare(moments_statistics(torch.rand(1, 4, 8, 8))))
        3
    """
    mean_BC, covariance_BCC = target[0], _covariance(target)
    root_BCC = sqrt_symmetric(covariance_BCC.double())
    return mean_BC, covariance_BCC, root_BCC if mean_BC.device.type == "cpu" else root_BCC.to(mean_BC.dtype)


def moments_distance(statistics: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's squared Wasserstein-2 distance of the Gaussians with these moments, shape (B,).

    This is |m - m_t|^2 + tr(S + S_t - 2 (S_t^1/2 S S_t^1/2)^1/2), with means m, m_t and covariances S, S_t, to each of
    which `RIDGE` times the identity is added.

    Args:
        statistics: (mean_BC, second_raw_moment_BCC) of the pictures.
        target: Result of `moments_prepare` for the style.

    Source:
        crowsonkb/style-transfer-pytorch@e7e2c71 style_transfer/style_transfer.py StyleLossW2. Differs: the sum
        over channels instead of the mean (`nst.losses.units` converts), and the way to the root (`nst.ops.trace_sqrt`).

    Example:
        >>> low, high = (moments_statistics(torch.full((1, 1, 2, 2), value)) for value in (3.0, 5.0))
        >>> moments_distance(high, moments_prepare(low)).round(decimals=4)
        tensor([4.])
    """
    mean_BC, covariance_BCC = statistics[0], _covariance(statistics)
    target_mean_BC, target_covariance_BCC, root_BCC = target
    # No eigenvalue of the product is smaller than the product of the smallest ones, whatever is rounded.
    cross_B = trace_sqrt(root_BCC @ covariance_BCC.to(root_BCC.dtype) @ root_BCC, least=RIDGE**2).to(mean_BC.dtype)
    spread_B = trace(covariance_BCC) + trace(target_covariance_BCC) - 2.0 * cross_B
    return (mean_BC - target_mean_BC).square().sum(1) + spread_B


def moments_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return each target's mean squared feature vector, shape (B,): its distance from features that are all zero.

    Example:
        >>> moments_energy(moments_statistics(torch.full((1, 1, 2, 2), 3.0)))
        tensor([9.])
    """
    return trace(target[1])


def _covariance(statistics: tuple[Tensor, ...]) -> Tensor:
    """Return the covariance that belongs to a mean and a second raw moment, with the ridge, shape (B, C, C)."""
    mean_BC, second_BCC = statistics
    identity_CC = torch.eye(mean_BC.shape[1], dtype=mean_BC.dtype, device=mean_BC.device)
    return second_BCC - mean_BC[:, :, None] * mean_BC[:, None, :] + RIDGE * identity_CC
