"""The style loss by Gram matrices, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.ops import gram_matrix

if TYPE_CHECKING:
    from torch import Tensor


def gram_statistics(features_BCHW: Tensor) -> tuple[Tensor, ...]:
    """Return the statistics that the loss compares: (gram_BCC,).

    Example:
        >>> gram_statistics(torch.ones(1, 2, 3, 3))[0].tolist()
        [[[1.0, 1.0], [1.0, 1.0]]]
    """
    return (gram_matrix(features_BCHW),)


def gram_distance(statistics: tuple[Tensor, ...], target: tuple[Tensor, ...]) -> Tensor:
    """Return each image's squared Frobenius distance of Gram matrices, shape (B,).

    Source:
        Gatys, Ecker & Bethge 2016, eq. 4. Differs: without the factor 1 / (4 N^2), which `nst.losses.units` supplies.

    Example:
        >>> ours, target = gram_statistics(torch.ones(1, 2, 3, 3)), gram_statistics(torch.zeros(1, 2, 5, 5))
        >>> gram_distance(ours, target)
        tensor([4.])
    """
    return (statistics[0] - target[0]).square().sum((1, 2))


def gram_energy(target: tuple[Tensor, ...]) -> Tensor:
    """Return the squared Frobenius norm of each target, shape (B,): the loss of features that are all zero.

    Example:
        >>> gram_energy(gram_statistics(torch.ones(1, 2, 3, 3)))
        tensor([4.])
    """
    return target[0].square().sum((1, 2))
