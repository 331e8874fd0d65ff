"""What methods maximise instead of matching a target: the activations of layers, the score of a class.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from nst.losses.objective import Losses, Objective, extract
from nst.losses.tv import TOTAL_VARIATIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Reward(Objective):
    """An objective whose loss is minus a reward, plus the total variation; without content and style.

    Attributes:
        reward: Returns each image's reward, shape (B,), of the pictures and of their features by layer.
    """

    reward: Callable[[Tensor, Mapping[str, Tensor]], Tensor] = field(kw_only=True)

    def __call__(self, images_BCHW: Tensor) -> Losses:
        """Return the losses of pictures in [0, 1]; values outside are allowed."""
        features = extract(self.backbone, images_BCHW, self.precision)
        tv_B = TOTAL_VARIATIONS[self.tv](images_BCHW)
        weighted_tv_B = self.tv_weight * tv_B
        zero_B = torch.zeros_like(self.tv_weight)
        total_B = weighted_tv_B - self.reward(images_BCHW, features)
        return Losses(total_B, zero_B, zero_B, weighted_tv_B, {}, {}, tv_B)


def activation(features_BCHW: Tensor) -> Tensor:
    """Return each image's mean squared feature, shape (B,).

    Source:
        Mordvintsev, Olah & Tyka 2015, the notebook's `objective_L2`. Differs: averaged instead of summed and halved.
    """
    return features_BCHW.square().mean((1, 2, 3))


def class_score(scores_BCHW: Tensor, targets_B: Tensor) -> Tensor:
    """Return each image's score of its own class, averaged over positions, shape (B,).

    Args:
        scores_BCHW: A map of scores per class, before the softmax and before any rectification.
        targets_B: Index of each image's class.

    Source:
        Simonyan, Vedaldi & Zisserman 2014, section 2, S_c. Differs: SqueezeNet rectifies its maps before it averages
        them, which stops the gradient where a class is not seen yet; the ascent looks at them before.
    """
    rows = torch.arange(len(targets_B), device=targets_B.device)
    return scores_BCHW.mean((2, 3))[rows, targets_B]


def squared_distance_to_mean(images_BCHW: Tensor, mean: Tensor) -> Tensor:
    """Return each image's mean squared distance to the mean colour, in units of the [0, 1] range, shape (B,).

    Source:
        Simonyan, Vedaldi & Zisserman 2014, eq. 1: the norm of an image whose zero is the training set's mean. Differs:
        averaged instead of summed, so that one weight serves every size.
    """
    return (images_BCHW - mean).square().mean((1, 2, 3))
