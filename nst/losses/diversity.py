"""The entropy of a generator's pictures, and the diversity term, which rewards it. Knows no network.

Shape letters: B images, C channels, H rows, W columns, G groups of M images, N values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

FLOOR = 1e-6
"""Number added to mean squared distances of pictures in [0, 1]: equal pictures have a finite loss and gradient."""


def diversity_loss(images_BCHW: Tensor, group: int | None = None) -> Tensor:
    """Return minus the mean log distance of each picture to its nearest neighbour, shape ().

    Distances are root mean squares over values, so that the loss means the same at every size; halving all distances
    adds log 2. Times the number of values it is, apart from a constant, minus the entropy in nats (`entropy`).

    Args:
        images_BCHW: The pictures.
        group: Number of successive pictures that are compared with each other, at least 2; None for all pictures.

    Source:
        Ulyanov, Vedaldi & Lempitsky 2017, "Improved texture networks", eq. 7 (the Kozachenko-Leonenko estimate of
        entropy), and DmitryUlyanov/texture_nets branch `diversity`, EstimatedEntropyMaximizer.lua. Differs: the mean
        over values instead of the sum, which changes the loss by a constant; the factor of the number of values
        belongs to the weight (`nst.config.training.texture_net`).

    Example:
        >>> black_and_white = torch.stack([torch.zeros(3, 4, 4), torch.ones(3, 4, 4)])
        >>> round(diversity_loss(black_and_white).item(), 4)
        -0.0
    """
    return -_log_nearest(images_BCHW, group).mean()


def entropy(images_BCHW: Tensor, group: int | None = None) -> Tensor:
    """Return the Kozachenko-Leonenko estimate of the entropy of pictures, in nats per value, shape (G,).

    With N values and groups of M independent pictures the estimate of the whole entropy, N times the result, is

        (N / M) sum_i log r_i + log V_N + psi(M) - psi(1)

    with r_i the Euclidean distance of picture i to its nearest neighbour, V_N the volume of the unit ball and psi the
    digamma function. It has no bias while the density is constant within such distances. Few pictures of many values
    are far from that: they are all about equally distant, and the estimate is too large; of a Gaussian by
    (log 2) / 2 = 0.35 a value, in the limit of many values. Differences between generators, from groups of one size,
    are to be trusted further than the estimate itself.

    Args:
        images_BCHW: The pictures.
        group: M, the number of successive pictures that are compared with each other, at least 2; None for all.

    Source:
        Kozachenko & Leonenko 1987; Ulyanov, Vedaldi & Lempitsky 2017, eq. 6 and 7, which leave the constants out.
        Differs: `FLOOR`.

    Example:
        >>> black_and_white = torch.stack([torch.zeros(1, 1, 1), torch.ones(1, 1, 1)])  # log 1 + log 2 + 1
        >>> entropy(black_and_white)
        tensor([1.6931])
    """
    values, count = images_BCHW[0].numel(), group or len(images_BCHW)
    log_ball = 0.5 * values * math.log(math.pi) - math.lgamma(0.5 * values + 1.0)
    harmonic = sum(1.0 / number for number in range(1, count))  # psi(M) - psi(1)
    nearest_G = _log_nearest(images_BCHW, group).mean(1) + 0.5 * math.log(values)
    return nearest_G + (log_ball + harmonic) / values


def _log_nearest(images_BCHW: Tensor, group: int | None) -> Tensor:
    """Return the log of each picture's root mean square distance to its nearest neighbour in its group, (G, M)."""
    flat_GMN = images_BCHW.reshape(-1, group or len(images_BCHW), images_BCHW[0].numel())
    # Differences, not products, which would lose all digits where pictures almost agree.
    squares_GMM = (flat_GMN[:, :, None] - flat_GMN[:, None]).square().mean(3)
    apart_GMM = squares_GMM + torch.diag(torch.full_like(squares_GMM[0, 0], torch.inf))
    return 0.5 * (apart_GMM.amin(2) + FLOOR).log()
