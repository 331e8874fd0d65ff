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
"""Area of a region that an image does not have."""


def guide(features_BCHW: Tensor, shares_hw: Tensor) -> Tensor:
    """Return the features scaled so that the Gram matrix of the whole map is that of one region.

    sum_p m_p f_p f_p^T / sum_p m_p: the mean over the region, however small it is.

    Args:
        features_BCHW: Feature maps.
        shares_hw: How much of each position m_p belongs to the region, in [0, 1], shape (H, W) for all images or
            (B, H, W). Of an image without the region the features become zero.

    Source:
        Gatys, Ecker, Bethge, Hertzmann & Shechtman 2017, "Controlling perceptual factors in neural style transfer",
        section 4; leongatys/NeuralImageSynthesis@cced0b9 `gram_matrix_guided`, whose guides have unit energy. Differs:
        a position counts by its share, there by the share's square, so that here the Gram matrices of all regions,
        weighted by their areas, add up to that of the picture. Dividing by H W (cysmith/neural-style-tf@a2c374f)
        makes the loss of a small region fall with the square of its area.

    Example:
        >>> left = torch.tensor([[1.0, 0.0]])
        >>> guide(torch.tensor([[[[3.0, 5.0]]]]), left).square().mean().round()  # of the region
        tensor(9.)
    """
    return features_BCHW * (shares_hw / area(shares_hw).clamp_min(_NONE)[..., None, None]).sqrt().unsqueeze(-3)


def area(shares_hw: Tensor) -> Tensor:
    """Return how much of the picture a region is, in [0, 1]: one number, or one for each image.

    Example:
        >>> area(torch.tensor([[1.0, 0.0]]))
        tensor(0.5000)
    """
    return shares_hw.mean((-2, -1))


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the picture: where it lies on the layer's grid and what its style is."""

    shares_hw: Tensor
    """Shape (H, W), or (B, H, W) where it lies elsewhere in each image."""
    target: StyleTarget


@dataclass(frozen=True, slots=True)
class GuidedStyle:
    """The style of a batch at one layer by regions; calling it returns each image's loss.

    Example:
        >>> target = style_target(STYLE_LOSSES["gram"], [([(torch.ones(1, 1, 1),)], [1.0], "targets")])
        >>> GuidedStyle([Region(torch.ones(2, 2), target)])(torch.zeros(1, 1, 2, 2))
        tensor([1.])
    """

    regions: Sequence[Region]

    @property
    def energy(self) -> Tensor:
        """The mean energy of the regions' targets by area, shape (B,)."""
        return torch.stack([area(region.shares_hw) * region.target.energy for region in self.regions]).sum(0)

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
            area(region.shares_hw)
            * style_loss(STYLE_LOSSES["gram"], guide(features_BCHW, region.shares_hw), region.target)
            for region in self.regions
        ]
        return torch.stack(losses).sum(0)


def region_grams(features: Mapping[str, Tensor], labels: Labels) -> dict[str, tuple[Tensor, ...]]:
    """Return the Gram matrix of every region of one picture at every layer, shape (1, C, C) each.

    Args:
        features: By layer, shape (1, C, H, W).
        labels: The regions.

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
