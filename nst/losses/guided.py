"""The style loss region by region, per image. Knows no layer, no weight and no mask file.

Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import torch

from nst.losses.gram import gram_statistics
from nst.losses.style import STYLE_LOSSES, compared
from nst.ops import gram_matrix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from nst.config.fields import Representation
    from nst.losses.style import Statistics, StyleTarget
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


def guided_gram(features_BCHW: Tensor, shares_hw: Tensor) -> tuple[Tensor, ...]:
    """Return the Gram matrix of a region, as `nst.losses.gram.gram_statistics` does for the whole map: (gram_BCC,).

    Args:
        features_BCHW: Feature maps.
        shares_hw: As for `guide`.

    Example:
        >>> guided_gram(torch.tensor([[[[3.0, 5.0]]]]), torch.tensor([[1.0, 0.0]]))[0].round()
        tensor([[[9.]]])
    """
    return gram_statistics(guide(features_BCHW, shares_hw))


def guided_moments(features_BCHW: Tensor, shares_hw: Tensor) -> tuple[Tensor, ...]:
    """Return the moments of a region, as `nst.losses.moments.moments_statistics` does: (mean_BC, second_moment_BCC).

    Both are means over the region in which a position counts by its share, so that the moments of all regions, weighted
    by their areas, add up to the moments of the picture.

    Args:
        features_BCHW: Feature maps.
        shares_hw: As for `guide`.

    Example:
        >>> guided_moments(torch.tensor([[[[3.0, 5.0]]]]), torch.tensor([[1.0, 0.0]]))[0].round()
        tensor([[3.]])
    """
    density_hw = shares_hw / area(shares_hw).clamp_min(_NONE)[..., None, None]
    mean_BC = (features_BCHW * density_hw.unsqueeze(-3)).mean((2, 3))
    return mean_BC, gram_matrix(guide(features_BCHW, shares_hw))


def positions_of(shares_hw: Tensor) -> Tensor:
    """Return which positions belong to a region for losses that compare ranks, shape (H, W).

    A position belongs to the region that has at least half of it. In a region that has half of no position, as a thin
    one on the coarse grid of a deep layer, the positions of its largest share count. A share as a weight of its rank
    would be the alternative. A hard choice has a quantile function of equal steps, so that the loss within a region is
    the very loss of a picture that consists of the region alone, and exact where that is exact. Borders are soft
    anyhow, for the features there see both sides.

    Args:
        shares_hw: Share of each position that belongs to the region, in [0, 1], for all images; shape (H, W).

    Example:
        >>> positions_of(torch.tensor([[1.0, 0.6, 0.4]])), positions_of(torch.tensor([[0.3, 0.1]]))
        (tensor([[ True,  True, False]]), tensor([[ True, False]]))
    """
    assert shares_hw.dim() == 2, "the images of a batch share their mask"
    return shares_hw >= shares_hw.max().clamp_max(0.5)


def places_of(shares_hw: Tensor) -> Tensor | None:
    """Return the numbers of a region's positions, row by row, shape (M,); None for a region that is the whole picture.

    Args:
        shares_hw: As for `positions_of`.

    Example:
        >>> places_of(torch.tensor([[1.0, 0.6, 0.4]])), places_of(torch.ones(1, 3))
        (tensor([0, 1]), None)
    """
    inside_HW = positions_of(shares_hw)
    return None if inside_HW.all() else inside_HW.flatten().nonzero()[:, 0]


def select(features_BCHW: Tensor, places: Tensor | None) -> Tensor:
    """Return the features at some positions as a map of one row, shape (B, C, 1, M).

    Args:
        features_BCHW: Feature maps.
        places: Numbers of the positions (`places_of`). With None, a region that is the whole picture, the features stay
            as they are, to the last bit of every sum over them.

    Example:
        >>> select(torch.tensor([[[[3.0, 5.0, 7.0]]]]), torch.tensor([0, 1])).tolist()
        [[[[3.0, 5.0]]]]
    """
    return features_BCHW if places is None else features_BCHW.flatten(2).index_select(2, places).unsqueeze(2)


_WEIGHTED: Final[dict[str, Callable[[Tensor, Tensor], Statistics]]] = {"gram": guided_gram, "moments": guided_moments}
"""The representations that are means over positions, which shares weight; those of ranks `select` positions."""


def area(shares_hw: Tensor) -> Tensor:
    """Return the share of the picture that a region covers, in [0, 1]: shape (), or (B,) given shares of (B, H, W).

    Example:
        >>> area(torch.tensor([[1.0, 0.0]]))
        tensor(0.5000)
    """
    return shares_hw.mean((-2, -1))


@dataclass(frozen=True, eq=False)
class Region:
    """One region of the picture: where it lies on the grid of a layer, and its style."""

    shares_hw: Tensor
    """Share of each position that belongs to the region, in [0, 1]; shape (H, W) for all images, or (B, H, W)."""
    target: StyleTarget
    """The style of the region."""

    @cached_property
    def places(self) -> Tensor | None:
        """Its positions as losses that compare ranks take them (`places_of`), looked for once and not at every step."""
        return places_of(self.shares_hw)


@dataclass(frozen=True, slots=True)
class GuidedStyle:
    """The style of a batch at one layer, region by region; calling it returns each image's loss.

    Example:
        >>> target = style_target(STYLE_LOSSES["gram"], [([(torch.ones(1, 1, 1),)], [1.0], "targets")])
        >>> GuidedStyle([Region(torch.ones(2, 2), target)])(torch.zeros(1, 1, 2, 2))
        tensor([1.])
    """

    regions: Sequence[Region]
    representation: Representation = "gram"
    """Which statistics of the features are compared (`nst.losses.style.STYLE_LOSSES`)."""

    @property
    def energy(self) -> Tensor:
        """The mean energy of the regions' targets, weighted by area, shape (B,)."""
        return torch.stack([area(region.shares_hw) * region.target.energy for region in self.regions]).sum(0)

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each image's style loss in relative units, shape (B,): sum_r area_r L_r, with L_r that of a region.

        The loss of each region r is divided by the energy of that region's target (with Gram matrices it is
        |G_r - A_r|^2 / |A_r|^2) and weighted by the region's share of the picture. The content loss is a mean over
        positions too, so that a style weight means the same in regions of every size as it does without masks; a single
        region gives the loss without masks.

        Source:
            Own choice. Gatys et al. 2017 weight the regions equally, so that a style grows stronger per pixel as its
            region shrinks.
        """
        return torch.stack([area(region.shares_hw) * self._loss(features_BCHW, region) for region in self.regions]).sum(
            0
        )

    def _loss(self, features_BCHW: Tensor, region: Region) -> Tensor:
        loss = STYLE_LOSSES[self.representation]
        if self.representation in _WEIGHTED:
            observed = _WEIGHTED[self.representation](features_BCHW, region.shares_hw)
        else:
            observed = (loss.observe or loss.statistics)(select(features_BCHW, region.places))
        return compared(loss, observed, region.target)


def region_statistics(
    features: Mapping[str, Tensor], labels: Labels, representation: Representation = "gram"
) -> dict[str, tuple[Statistics, ...]]:
    """Return the style statistics of all regions of one picture by layer, as `StyleLoss.statistics` returns them.

    Args:
        features: Feature maps of the picture by layer, shape (1, C, H, W) each.
        labels: The regions of the picture.
        representation: Which statistics.

    Example:
        >>> found = region_statistics({"relu1_1": torch.full((1, 1, 2, 2), 3.0)}, plain_labels("#ff0000"))
        >>> found["relu1_1"][0][0].round()
        tensor([[[9.]]])
    """

    def of_region(map_1CHW: Tensor, label: int) -> Statistics:
        shares_HW = torch.from_numpy(labels.shares(label, map_1CHW.shape[3], map_1CHW.shape[2])).to(map_1CHW)
        if representation in _WEIGHTED:
            return _WEIGHTED[representation](map_1CHW, shares_HW)
        return STYLE_LOSSES[representation].statistics(select(map_1CHW, places_of(shares_HW)))

    return {
        layer: tuple(of_region(map_1CHW, label) for label in range(len(labels.colors)))
        for layer, map_1CHW in features.items()
    }
