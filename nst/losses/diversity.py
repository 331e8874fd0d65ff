"""The diversity term: rewards a generator whose pictures differ. Knows no network.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-6
"""Added to mean squared distances of pictures in [0, 1], so that equal pictures have a finite loss and slope."""


def diversity_loss(images_BCHW: Tensor) -> Tensor:
    """Return minus the mean log distance of each picture to its nearest other one in the batch, shape ().

    Distances are root mean squares over values, so that it means the same at every size; halving all distances adds
    log 2. Needs two pictures or more.

    Source:
        Ulyanov, Vedaldi & Lempitsky 2017, "Improved texture networks", eq. 7 (the Kozachenko-Leonenko estimate of
        entropy), and DmitryUlyanov/texture_nets branch `diversity`, EstimatedEntropyMaximizer.lua. Differs: mean over
        values for the sum, which changes it by a constant, and without the factor of the number of values, which
        belongs to the weight.
    """
    flat_BN = images_BCHW.flatten(1)
    # Differences, not products: pictures that almost agree would lose all digits.
    squares_BB = (flat_BN[:, None] - flat_BN[None]).square().mean(2)
    apart_BB = squares_BB + torch.diag(torch.full_like(squares_BB[0], torch.inf))
    return -0.5 * (apart_BB.amin(1) + FLOOR).log().mean()
