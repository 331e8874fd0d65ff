"""The content loss, per image. Knows no layer and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def content_distance(features_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """Return each image's mean squared difference of feature maps, shape (B,).

    Source:
        Gatys, Ecker & Bethge 2016, eq. 1. Differs: the mean instead of half the sum, as in
        jcjohnson/neural-style@07c4b82 neural_style.lua; `nst.losses.units` converts.

    Example:
        >>> content_distance(torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3))
        tensor([1.])
    """
    return (features_BCHW - target_BCHW).square().mean((1, 2, 3))


def content_energy(target_BCHW: Tensor) -> Tensor:
    """Return each target's mean square, shape (B,): the content loss of features that are all zero.

    Example:
        >>> content_energy(torch.full((1, 2, 3, 3), 3.0))
        tensor([9.])
    """
    return target_BCHW.square().mean((1, 2, 3))


def content_loss(features_BCHW: Tensor, target_1CHW: Tensor, energy: Tensor) -> Tensor:
    """Return each image's content loss in relative units, shape (B,).

    Args:
        features_BCHW: Feature maps of the pictures.
        target_1CHW: Feature maps of the content; one for all pictures, or one for each.
        energy: `content_energy` of the target, positive, shape (1,) or (B,).

    Example:
        >>> target = torch.full((1, 2, 3, 3), 3.0)
        >>> content_loss(torch.zeros(1, 2, 3, 3), target, content_energy(target))
        tensor([1.])
    """
    return content_distance(features_BCHW, target_1CHW) / energy
