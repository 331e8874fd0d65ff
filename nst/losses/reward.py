"""What methods maximise instead of matching a target: the activations of layers, the score of a class.

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
    """Return a term that counts against the loss: what is rewarded grows.

    Args:
        layer: The layer whose features are rewarded; None for the pictures themselves.
        reward: Returns each image's reward, shape (B,), given features or pictures.
        weights: Its weight, shape (B,); negative for what is punished.

    Example:
        >>> term = reward_term("relu2_1", activation, torch.tensor([2.0]))
        >>> term.weights * term.loss(torch.ones(1, 4, 3, 3))
        tensor([-2.])
    """
    return Term("reward", layer, reward, "positions", 1.0, -weights)


def activation(features_BCHW: Tensor) -> Tensor:
    """Return each image's mean squared feature, shape (B,).

    Source:
        Mordvintsev, Olah & Tyka 2015, the notebook's `objective_L2`. Differs: averaged instead of summed and halved.

    Example:
        >>> activation(torch.full((1, 4, 3, 3), 3.0))
        tensor([9.])
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

    Example:
        >>> class_score(torch.tensor([[[[1.0]], [[5.0]]]]), torch.tensor([1]))
        tensor([5.])
    """
    rows = torch.arange(len(targets_B), device=targets_B.device)
    return scores_BCHW.mean((2, 3))[rows, targets_B]


def squared_distance_to_mean(images_BCHW: Tensor, mean: Tensor) -> Tensor:
    """Return each image's mean squared distance to the mean colour, in units of the [0, 1] range, shape (B,).

    Source:
        Simonyan, Vedaldi & Zisserman 2014, eq. 1: the norm of an image whose zero is the training set's mean. Differs:
        averaged instead of summed, so that one weight serves every size.

    Example:
        >>> squared_distance_to_mean(torch.ones(1, 3, 2, 2), torch.full((1, 3, 1, 1), 0.5))
        tensor([0.2500])
    """
    return (images_BCHW - mean).square().mean((1, 2, 3))
