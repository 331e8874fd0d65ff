"""The diversity term, which rewards a generator whose pictures differ. Knows no network.

Shape letters: B images, C channels, H rows, W columns, G groups of M images, N values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-6
"""Number added to mean squared distances of pictures in [0, 1]: equal pictures have a finite loss and gradient."""


def diversity_loss(images_BCHW: Tensor, group: int | None = None) -> Tensor:
    """Return minus the mean log distance of each picture to its nearest neighbour, shape ().

    Distances are root mean squares over values, so that the loss means the same at every size; halving all distances
    adds log 2.

    Args:
        images_BCHW: The pictures.
        group: Number of successive pictures that are compared with each other, at least 2; None for all pictures.

    Source:
        Ulyanov, Vedaldi & Lempitsky 2017, "Improved texture networks", eq. 7 (the Kozachenko-Leonenko estimate of
        entropy), and DmitryUlyanov/texture_nets branch `diversity`, EstimatedEntropyMaximizer.lua. Differs: the mean
        over values instead of the sum, which changes the loss by a constant; and no factor of the number of values,
        which belongs to the weight.

    Example:
        >>> black_and_white = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
        >>> round(diversity_loss(black_and_white).item(), 4)
        -0.0
    """
    flat_GMN = images_BCHW.reshape(-1, group or len(images_BCHW), images_BCHW[0].numel())
    # Differences, not products, which would lose all digits where pictures almost agree.
    squares_GMM = (flat_GMN[:, :, None] - flat_GMN[:, None]).square().mean(3)
    apart_GMM = squares_GMM + torch.diag(torch.full_like(squares_GMM[0, 0], torch.inf))
    return -0.5 * (apart_GMM.amin(2) + FLOOR).log().mean()
