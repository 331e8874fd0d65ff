"""The style loss region by region, per image. Knows no layer, no weight and no mask file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch

from nst.losses.style import STYLE_LOSSES, style_loss

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.losses.style import StyleTarget
    from nst.pictures.masks import Labels

_NONE: Final = 1e-12
"""Smallest area that features are divided by, for a region that an image does not have."""


def guide(features_BCHW: Tensor, shares_hw: Tensor) -> Tensor:
    """Return the features scaled so that the Gram matrix of the whole map is that of one region.

    The Gram matrix becomes sum_p m_p f_p f_p^T / sum_p m_p: the mean over the region, however small the region is.

    Args:
        features_BCHW: Feature maps.
        shares_hw: The share m_p of each position p that belongs to the region, in [0, 1]; shape (H, W) for all images,
            or (B, H, W). Where an image does not have the region, its features become zero.

    Source:
        Gatys, Ecker, Bethge, Hertzmann & Shechtman 2017, "Controlling perceptual factors in neural style transfer",
        section 4; leongatys/NeuralImageSynthesis@cced0b9 `gram_matrix_guided`, whose guides have unit energy. Differs:
        a position counts by its share and not by the share's square, so that the Gram matrices of all regions, weighted
        by their areas, add up to the Gram matrix of the picture. Dividing by H W, as cysmith/neural-style-tf@a2c374f
        does, would make the loss of a small region fall with the square of its area.

    Example:
        >>> left = torch.tensor([[1.0, 0.0]])
        >>> guide(torch.tensor([[[[3.0, 5.0]]]]), left).square().mean().round()  # of the region
        tensor(9.)
    """
    return features_BCHW * (shares_hw / area(shares_hw).clamp_min(_NONE)[..., None, None]).sqrt().unsqueeze(-3)


def area(shares_hw: Tensor) -> Tensor:
    """Return the share of the picture that a region covers, in [0, 1]: shape (), or (B,) given shares of (B, H, W).

    Example:
        >>> area(torch.tensor([[1.0, 0.0]]))
        tensor(0.5000)
    """
    return shares_hw.mean((-2, -1))


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the picture: where it lies on the grid of a layer, and its style."""

    shares_hw: Tensor
    """Share of each position that belongs to the region, in [0, 1]; shape (H, W) for all images, or (B, H, W)."""
    target: StyleTarget
    """The style of the region."""


@dataclass(frozen=True, slots=True)
class GuidedStyle:
    """The style of a batch at one layer, region by region; calling it returns each image's loss.

    Example:
        >>> target = style_target(STYLE_LOSSES["gram"], [([(torch.ones(1, 1, 1),)], [1.0], "targets")])
        >>> GuidedStyle([Region(torch.ones(2, 2), target)])(torch.zeros(1, 1, 2, 2))
        tensor([1.])
    """

    regions: Sequence[Region]

    @property
    def energy(self) -> Tensor:
        """The mean energy of the regions' targets, weighted by area, shape (B,)."""
        return torch.stack([area(region.shares_hw) * region.target.energy for region in self.regions]).sum(0)

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each image's style loss in relative units, shape (B,): sum_r area_r |G_r - A_r|^2 / |A_r|^2.

        The loss of each region r is divided by the energy of that region's target and weighted by the region's share of
        the picture. The content loss is a mean over positions too, so that a style weight means the same in regions of
        every size as it does without masks; a single region gives the loss without masks.

        Source:
            Own choice. Gatys et al. 2017 weight the regions equally, so that a style grows stronger per pixel as its
            region shrinks.
        """
        losses = [
            area(region.shares_hw)
            * style_loss(STYLE_LOSSES["gram"], guide(features_BCHW, region.shares_hw), region.target)
            for region in self.regions
        ]
        return torch.stack(losses).sum(0)


def region_grams(features: Mapping[str, Tensor], labels: Labels) -> dict[str, tuple[Tensor, ...]]:
    """Return the Gram matrices of all regions of one picture by layer, shape (1, C, C) each.

    Args:
        features: Feature maps of the picture by layer, shape (1, C, H, W) each.
        labels: The regions of the picture.

    Example:
        >>> grams = region_grams({"relu1_1": torch.full((1, 1, 2, 2), 3.0)}, plain_labels("#ff0000"))
        >>> grams["relu1_1"][0].round()
        tensor([[[9.]]])
    """
    return {
        layer: tuple(
            STYLE_LOSSES["gram"].statistics(guide(map_1CHW, _shares_over(map_1CHW, labels, label)))[0]
            for label in range(len(labels.colors))
        )
        for layer, map_1CHW in features.items()
    }


def _shares_over(map_1CHW: Tensor, labels: Labels, label: int) -> Tensor:
    return torch.from_numpy(labels.shares(label, map_1CHW.shape[3], map_1CHW.shape[2])).to(map_1CHW)
