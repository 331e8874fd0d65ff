"""The style loss region by region, per image. Knows no layer, no weight and no mask file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nst.losses.style import STYLE_LOSSES, style_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.losses.style import StyleTarget


def guide(features_BCHW: Tensor, shares_HW: Tensor) -> Tensor:
    """Return the features scaled so that the Gram matrix of the whole map is that of one region.

    sum_p m_p f_p f_p^T / sum_p m_p: the mean over the region, however small it is.

    Args:
        features_BCHW: Feature maps.
        shares_HW: How much of each position m_p belongs to the region, in [0, 1], not zero everywhere.

    Source:
        Gatys, Ecker, Bethge, Hertzmann & Shechtman 2017, "Controlling perceptual factors in neural style transfer",
        section 4; leongatys/NeuralImageSynthesis@cced0b9 `gram_matrix_guided`, whose guides have unit energy. Differs:
        a position counts by its share, there by the share's square, so that here the Gram matrices of all regions,
        weighted by their areas, add up to that of the picture. Dividing by H W (cysmith/neural-style-tf@a2c374f)
        makes the loss of a small region fall with the square of its area.
    """
    return features_BCHW * (shares_HW / shares_HW.mean()).sqrt()


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the picture: where it lies on the layer's grid and what its style is."""

    shares_hw: Tensor
    target: StyleTarget


@dataclass(frozen=True, slots=True)
class GuidedStyle:
    """The style of a batch at one layer by regions; calling it returns each image's loss."""

    regions: Sequence[Region]

    @property
    def energy(self) -> Tensor:
        """The mean energy of the regions' targets by area, shape (B,)."""
        return torch.stack([region.shares_hw.mean() * region.target.energy for region in self.regions]).sum(0)

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each image's style loss in relative units, shape (B,): sum_r area_r |G_r - A_r|^2 / |A_r|^2.

        Each region is divided by the energy of its own target. Its area, as a share of the picture, then weights it
        against the content loss, which is a mean over positions too: a style weight means the same in every region,
        whatever its size, as it would without masks, and one region alone gives the loss without masks.

        Source:
            Own choice. Gatys et al. 2017 weight the regions equally, so that a style grows stronger, per pixel, as its
            region shrinks.
        """
        losses = [
            region.shares_hw.mean()
            * style_loss(STYLE_LOSSES["gram"], guide(features_BCHW, region.shares_hw), region.target)
            for region in self.regions
        ]
        return torch.stack(losses).sum(0)
