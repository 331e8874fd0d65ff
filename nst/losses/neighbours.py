"""Hypercolumns: the features of several layers at one place as one vector, and the loss against their nearest ones.

Knows no layer and no weight. Shape letters: B images, C channels, H rows, W columns, D = all channels, N positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from nst.losses.patches import nearest_patches
from nst.ops import resize

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

STRIDE = 4
"""Pixels between neighbouring hypercolumns, as in nkolkin13/NeuralNeighborStyleTransfer."""

_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Hypercolumns:
    """A backbone that returns one map, `hypercolumns`, of all its layers.

    Attributes:
        backbone: Returns feature maps by layer.
        shares: Factor of each layer in the hypercolumns; also divided by its number of channels.
    """

    backbone: Callable[[Tensor], Mapping[str, Tensor]]
    shares: Mapping[str, float]

    def __call__(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        """Return {"hypercolumns": columns_BDHW} at a quarter of the pictures' size."""
        features = self.backbone(images_BCHW)
        rows, columns = (max(1, side // STRIDE) for side in images_BCHW.shape[2:])
        layers = [
            resize(features[layer].to(images_BCHW.dtype), rows, columns, mode="bilinear")
            * (share / features[layer].shape[1])
            for layer, share in self.shares.items()
        ]
        return {"hypercolumns": torch.cat(layers, 1)}


@dataclass(frozen=True, slots=True)
class NeighbourTarget:
    """The style of a batch as hypercolumns; calling it returns each image's loss.

    Attributes:
        maps: Per image, the hypercolumns of its style's copies, shape (1, D, H, W) each.
        content: Shape (1, D, H, W), those of the content image, at the size of the pictures.
        share: Shape (B,), share of the content in what is looked up.
    """

    maps: tuple[tuple[Tensor, ...], ...]
    content: Tensor
    share: Tensor

    def __call__(self, columns_BDHW: Tensor) -> Tensor:
        """Return each image's mean cosine distance to its nearest hypercolumns, shape (B,); of zeros, 1.

        The neighbours are looked up anew at every call, and constants of the gradient.

        Source:
            Kolkin, Kucera, Paris, Sykora, Shechtman & Shakhnarovich 2022, "Neural Neighbor Style Transfer", section 3;
            nkolkin13/NeuralNeighborStyleTransfer@290976a. Differs: there the neighbours of one scale are fixed before
            its first step.
        """
        with torch.no_grad():
            share_B111 = self.share[:, None, None, None]
            asked_BDN = (share_B111 * self.content + (1.0 - share_B111) * columns_BDHW).flatten(2)
            matches_BDN = torch.stack(
                [nearest_columns(asked_DN, maps)[0] for asked_DN, maps in zip(asked_BDN, self.maps, strict=True)]
            )
        return (1.0 - functional.cosine_similarity(columns_BDHW.flatten(2), matches_BDN, 1, _TINY)).mean(1)


def nearest_columns(columns_DN: Tensor, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the style's hypercolumn that each is nearest to by the cosine, both centred on their means.

    Returns:
        The matches, shape (D, N), not centred, and their numbers, shape (N,), counted through all maps in order.
    """
    positions = sum(one.shape[2] * one.shape[3] for one in maps)
    mean_D = torch.stack([one.sum((0, 2, 3)) for one in maps]).sum(0) / positions
    centred = [one - mean_D[:, None, None] for one in maps]
    matches_DN, index_N = nearest_patches(columns_DN - columns_DN.mean(1, keepdim=True), centred, 1, 1)
    return matches_DN + mean_D[:, None], index_N
