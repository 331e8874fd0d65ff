"""The diversity term: rewards a generator whose pictures differ. Knows no network.

Shape letters: B images, C channels, H rows, W columns, G groups of M images, N values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-6
"""Added to mean squared distances of pictures in [0, 1], so that equal pictures have a finite loss and slope."""


def diversity_loss(images_BCHW: Tensor, group: int | None = None) -> Tensor:
    """Return minus the mean log distance of each picture to its nearest other one, shape ().

    Distances are root mean squares over values, so that it means the same at every size; halving all distances adds
    log 2.

    Args:
        images_BCHW: The pictures.
        group: How many that follow each other are compared, 2 or more; None for all.

    Source:
        Ulyanov, Vedaldi & Lempitsky 2017, "Improved texture networks", eq. 7 (the Kozachenko-Leonenko estimate of
        entropy), and DmitryUlyanov/texture_nets branch `diversity`, EstimatedEntropyMaximizer.lua. Differs: mean over
        values for the sum, which changes it by a constant, and without the factor of the number of values, which
        belongs to the weight.

    Example:
        >>> black_and_white = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
        >>> round(diversity_loss(black_and_white).item(), 4)
        -0.0
    """
    flat_GMN = images_BCHW.reshape(-1, group or len(images_BCHW), images_BCHW[0].numel())
    # Differences, not products: pictures that almost agree would lose all digits.
    squares_GMM = (flat_GMN[:, :, None] - flat_GMN[:, None]).square().mean(3)
    apart_GMM = squares_GMM + torch.diag(torch.full_like(squares_GMM[0, 0], torch.inf))
    return -0.5 * (apart_GMM.amin(2) + FLOOR).log().mean()
