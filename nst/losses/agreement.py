"""How far the gradients of two networks disagree about where to move pictures, per image. Knows no network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

_FLOOR: Final = 1e-20
"""Number added to squared norms: gradients that are zero then have no direction, and no infinite logarithm."""


def disagreement(ours_BCHW: Tensor, theirs_BCHW: Tensor, norm_weight: float) -> Tensor:
    """Return each image's 1 - cos(ours, theirs) + norm_weight * log(|ours| / |theirs|)^2, shape (B,).

    The direction decides where a descent goes, the norm how a style weighs against a content; both are compared, since
    an optimiser of pixels sees nothing else of a network.

    Args:
        ours_BCHW: Gradient of a loss with respect to each picture, by the network that learns.
        theirs_BCHW: The same by the network that teaches.
        norm_weight: Weight of the norms against the directions.

    Source:
        Our own. Matching gradients of the input by their cosine: Zhao, Mopuri & Bilen 2021, "Dataset condensation with
        gradient matching", eq. 5, there for gradients of weights.

    Example:
        >>> gradient = torch.ones(1, 3, 2, 2)
        >>> disagreement(-torch.e * gradient, gradient, 0.5)  # opposite, and e times as long
        tensor([2.5000])
    """
    ours_BN, theirs_BN = ours_BCHW.flatten(1), theirs_BCHW.flatten(1)
    ours_B, theirs_B = (rows_BN.square().sum(1) + _FLOOR for rows_BN in (ours_BN, theirs_BN))
    cosine_B = (ours_BN * theirs_BN).sum(1) / (ours_B * theirs_B).sqrt()
    ratio_B = 0.5 * (ours_B.log() - theirs_B.log())
    return 1.0 - cosine_B + norm_weight * ratio_B.square()
