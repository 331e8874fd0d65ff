"""The temporal loss of a frame of a clip: how far it is from the frames before it, warped along the motion.

Knows no clip and no file. Shape letters: B pictures, J frames before, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

ENERGY_FLOOR: Final = 1e-3
"""Least contrast of a content frame that the loss is divided by, as a mean square of values in [0, 1]: that of a frame
of one colour with an eighth of a grey level of noise would make every difference count without bound."""


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """What a frame is held to.

    Attributes:
        warped: Each picture's frames before, warped to this frame, in [0, 1], shape (B, 3, H, W) each.
        weights: How certain it is that each position shows the same as there, in [0, 1], shape (H, W) each.
        energy: Mean squared contrast of the content frame (`contrast`).
    """

    warped: Sequence[Tensor]
    weights: Sequence[Tensor]
    energy: Tensor


def temporal_loss(pictures_B3HW: Tensor, before: Before) -> Tensor:
    """Return each picture's sum over j of the mean of c_j (x - w_j)^2, relative to the content's contrast, shape (B,).

    The mean is over all values of the picture, those without a weight among them.

    Source:
        Ruder, Dosovitskiy & Brox 2016, "Artistic style transfer for videos", eq. 9 (one frame back) and 12 (several),
        whose weights c_j (eq. 13) are `nst.motion.closest_first`. Differs: divided by the contrast of the content
        frame, so that a weight means the same for clips of fog and of fireworks.

    Example:
        >>> before = Before([torch.zeros(1, 3, 2, 2)], [torch.tensor([[1.0, 1.0], [0.0, 0.0]])], torch.tensor(0.5))
        >>> temporal_loss(torch.full((1, 3, 2, 2), 0.5), before)  # a quarter on half of the positions, over 0.5
        tensor([0.2500])
    """
    parts = [
        (weights_HW * (pictures_B3HW - warped_B3HW).square()).mean((1, 2, 3))
        for warped_B3HW, weights_HW in zip(before.warped, before.weights, strict=True)
    ]
    return torch.stack(parts).sum(0) / before.energy


def contrast(content_13HW: Tensor) -> Tensor:
    """Return the mean squared difference of a picture from its mean colour, at least `ENERGY_FLOOR`, shape ().

    Example:
        >>> contrast(torch.tensor([0.0, 1.0]).expand(1, 3, 1, 2))
        tensor(0.2500)
    """
    mean_13 = content_13HW.mean((2, 3), keepdim=True)
    return (content_13HW - mean_13).square().mean().clamp_min(ENERGY_FLOOR)
