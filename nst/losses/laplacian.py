"""The Laplacian loss of pictures, which keeps the content's edges, per image. Knows no backbone and no weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

ENERGY_FLOOR: Final = (1.0 / 255.0) ** 2
"""Smallest energy that the loss is divided by, for contents without edges: about the energy of rounding to 8 bits."""


def laplacian(images_BCHW: Tensor, pool: int) -> Tensor:
    """Return the Laplacian of pictures averaged over squares of `pool` pixels, summed over channels, shape (B, H, W).

    The outermost squares have no Laplacian, so that a linear ramp has none anywhere; H and W are two squares less.

    Example:
        >>> laplacian(torch.ones(1, 3, 8, 8), pool=2).tolist()  # two squares less in each direction
        [[[0.0, 0.0], [0.0, 0.0]]]
    """
    pooled_BHW = functional.avg_pool2d(images_BCHW, pool).sum(1)
    middle_BHW = pooled_BHW[:, 1:-1, 1:-1]
    left_and_right_BHW = pooled_BHW[:, 1:-1, :-2] + pooled_BHW[:, 1:-1, 2:]
    above_and_below_BHW = pooled_BHW[:, :-2, 1:-1] + pooled_BHW[:, 2:, 1:-1]
    return 4.0 * middle_BHW - left_and_right_BHW - above_and_below_BHW


def laplacian_energy(target_BHW: Tensor) -> Tensor:
    """Return each target's mean square, shape (B,): the loss of a picture without edges.

    Example:
        >>> laplacian_energy(torch.full((1, 2, 2), 0.5))
        tensor([0.2500])
    """
    return target_BHW.square().mean((1, 2)).clamp_min(ENERGY_FLOOR)


def laplacian_loss(images_BCHW: Tensor, pool: int, target_BHW: Tensor, energy: Tensor) -> Tensor:
    """Return each image's mean squared difference of Laplacians in relative units, shape (B,).

    Args:
        images_BCHW: Pictures in [0, 1].
        pool: Side in pixels of the squares over which pictures are averaged.
        target_BHW: Laplacian of the content (`laplacian`); one for all pictures, or one for each.
        energy: `laplacian_energy` of the target.

    Source:
        Li, Xu, Nie & Liu 2017, "Laplacian-Steered Neural Style Transfer", eq. 5 and 6; askerlee/lapstyle@60489ea
        lap_style.lua. Differs: the mean instead of the sum, as in that code, and relative to the content's energy.

    Example:
        >>> target = torch.full((1, 2, 2), 0.5)
        >>> laplacian_loss(torch.ones(1, 3, 8, 8), 2, target, laplacian_energy(target))
        tensor([1.])
    """
    return (laplacian(images_BCHW, pool) - target_BHW).square().mean((1, 2)) / energy
