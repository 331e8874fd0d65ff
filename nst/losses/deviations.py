"""The style loss of AdaIN, by means and standard deviations of channels, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.losses.style import StyleLoss

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-5
"""Number added to variances before their root is taken, as in the network (`nst.networks.norm`)."""


def deviations_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics that the loss compares: (mean_BC, deviation_BC).

    Example:
        >>> mean, deviation = deviations_statistics(torch.tensor([[[[1.0, 5.0]]]]))
        >>> mean, deviation.round(decimals=3)
        (tensor([[3.]]), tensor([[2.]]))
    """
    variance_BC, mean_BC = torch.var_mean(features_BCHW, (2, 3), correction=0)
    return mean_BC, (variance_BC + EPSILON).sqrt()


def deviations_distance(statistics: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's squared distance of means plus the squared distance of deviations, shape (B,).

    Source:
        Huang & Belongie 2017, eq. 13. Differs: squares instead of norms, as in naoto0804/pytorch-AdaIN.

    Example:
        >>> flat, raised = (deviations_statistics(torch.full((1, 1, 2, 2), value)) for value in (3.0, 5.0))
        >>> deviations_distance(raised, flat)
        tensor([4.])
    """
    return sum(
        ((ours - wanted).square().sum(1) for ours, wanted in zip(statistics, target, strict=True)),
        torch.zeros_like(statistics[0][:, 0]),
    )


def deviations_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return each target's sum of squared means and deviations, shape (B,): the loss of features that are all zero.

    Example:
        >>> deviations_energy(deviations_statistics(torch.full((1, 1, 2, 2), 3.0)))
        tensor([9.0000])
    """
    return target[0].square().sum(1) + target[1].square().sum(1)


DEVIATIONS = StyleLoss(deviations_statistics, deviations_distance, deviations_energy)
"""The style loss with which `adain` learns."""
