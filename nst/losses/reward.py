"""Rewards, which methods maximise instead of matching a target: activations of layers and scores of classes.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.losses.objective import Term

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def reward_term(layer: str | None, reward: Callable[[Tensor], Tensor], weights: Tensor) -> Term:
    """Return a term whose reward is subtracted from the loss, so that minimising the loss maximises the reward.

    Args:
        layer: Layer whose features are rewarded; None for a reward of the pictures.
        reward: Returns each image's reward, shape (B,), given features or pictures of shape (B, C, H, W).
        weights: Weight of the reward, shape (B,); negative for a penalty.

    Example:
        >>> term = reward_term("relu2_1", activation, torch.tensor([2.0]))
        >>> term.weights * term.loss(torch.ones(1, 4, 3, 3))
        tensor([-2.])
    """
    return Term("reward", layer, reward, "positions", 1.0, -weights)


def activation(features_BCHW: Tensor) -> Tensor:
    """Return each image's mean squared feature, shape (B,).

    Source:
        Mordvintsev, Olah & Tyka 2015, `objective_L2` of google/deepdream dream.ipynb. Differs: the mean instead of half
        the sum.

    Example:
        >>> activation(torch.full((1, 4, 3, 3), 3.0))
        tensor([9.])
    """
    return features_BCHW.square().mean((1, 2, 3))


def class_score(scores_BCHW: Tensor, targets_B: Tensor) -> Tensor:
    """Return the score that each image has for its target class, averaged over positions, shape (B,).

    Args:
        scores_BCHW: Map of the scores of all classes, before the softmax and before any rectification.
        targets_B: Index of the target class of each image.

    Source:
        Simonyan, Vedaldi & Zisserman 2014, section 2, S_c. Differs: SqueezeNet rectifies its scores before it averages
        them, which would stop the gradient where the class is not seen yet; here they are averaged unrectified.

    Example:
        >>> class_score(torch.tensor([[[[1.0]], [[5.0]]]]), torch.tensor([1]))
        tensor([5.])
    """
    rows = torch.arange(len(targets_B), device=targets_B.device)
    return scores_BCHW.mean((2, 3))[rows, targets_B]


def squared_distance_to_mean(images_BCHW: Tensor, mean: Tensor) -> Tensor:
    """Return each image's mean squared distance to the mean colour, in units of the [0, 1] range, shape (B,).

    Source:
        Simonyan, Vedaldi & Zisserman 2014, eq. 1: the norm of an image whose zero is the mean of the training set.
        Differs: the mean instead of the sum, so that a weight means the same at every size.

    Example:
        >>> squared_distance_to_mean(torch.ones(1, 3, 2, 2), torch.full((1, 3, 1, 1), 0.5))
        tensor([0.2500])
    """
    return (images_BCHW - mean).square().mean((1, 2, 3))
