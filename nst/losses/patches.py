"""Neural patches: cutting them out, matching them by normalised cross-correlation, and the loss against the matches.

Knows no layer. Shape letters: B images, C channels, H rows, W columns, N patches of a picture, K patches of a style,
D = C x size^2 values of a patch; for masks, R regions and G = R x size^2 values of a patch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

CHUNK: Final = 2048
"""Number of style patches that are compared at a time: 2,000 patches of 4,608 values take about 60 MB."""

_TINY: Final = 1e-12
"""Smallest length that a patch is divided by."""


def cut_patches(features_BCHW: Tensor, size: int, stride: int) -> Tensor:
    """Return square patches of feature maps that reach all four borders, row by row, shape (B, D, N).

    Where the stride does not divide the way to the last position, one more row or column of patches ends there, closer
    to the one before it. With a stride of at most `size` every position therefore lies in a patch.

    Args:
        features_BCHW: Feature maps.
        size: Side of the patches in positions.
        stride: Distance between neighbouring patches in positions.

    Source:
        chuanli11/CNNMRF mylib/helper.lua computegrid, with its `flag_all`.

    Example:
        >>> cut_patches(torch.rand(1, 4, 5, 5), size=3, stride=2).shape
        torch.Size([1, 36, 4])
        >>> cut_patches(torch.arange(4.0).view(1, 1, 1, 4), size=1, stride=2)  # 0, 2, and 3, the last
        tensor([[[0., 2., 3.]]])
    """
    height, width = features_BCHW.shape[2:]
    grid_BDN = functional.unfold(features_BCHW, size, stride=stride)
    if (width - size) % stride:
        rows_BDHW = grid_BDN.view(*grid_BDN.shape[:2], -1, (width - size) // stride + 1)
        last_BDH = functional.unfold(features_BCHW[..., -size:], size, stride=stride)
        grid_BDN = torch.cat([rows_BDHW, last_BDH[..., None]], 3).flatten(2)
    if (height - size) % stride:
        grid_BDN = torch.cat([grid_BDN, cut_patches(features_BCHW[:, :, -size:], size, stride)], 2)
    return grid_BDN


def patch_starts(side: int, size: int, stride: int) -> list[int]:
    """Return the first position of each patch along a side; the last patch ends at the last position.

    Example:
        >>> patch_starts(8, size=3, stride=2)
        [0, 2, 4, 5]
    """
    last = side - size
    return [*range(0, last, stride), last]


@dataclass(frozen=True, slots=True)
class Guide:
    """The masks over the patches of one picture and its style, which are matched together with the features.

    Attributes:
        patches: Patches of the picture's mask at length one, shape (G, N).
        maps: Masks of the style on the grids of its feature maps, shape (1, R, H, W) each.
        weight: Weight of the correlation of masks against the correlation of features.
    """

    patches: Tensor
    maps: Sequence[Tensor]
    weight: float


def nearest_patches(
    patches_DN: Tensor,
    maps: Sequence[Tensor],
    size: int,
    stride: int,
    *,
    chunk: int = CHUNK,
    guide: Guide | None = None,
) -> tuple[Tensor, Tensor]:
    """Return for each patch the style patch with the largest normalised cross-correlation: exactly, in bounded memory.

    Only `chunk` style patches, or one row of them if that is more, exist at a time, and only the best scores so far are
    kept. The correlation of a zero patch is 0.

    Args:
        patches_DN: Patches of one picture.
        maps: Feature maps of the style, shape (1, C, H, W) each: of the style image and of its rotated and scaled
            copies.
        size: Side of the patches in positions.
        stride: Distance between neighbouring style patches in positions.
        chunk: Largest number of style patches at a time.
        guide: Masks whose normalised cross-correlation, times `weight`, is added to that of the features.

    Returns:
        The matches, shape (D, N), and their indices, shape (N,), counted through all maps in order.

    Source:
        Li & Wand 2016, eq. 3; chuanli11/CNNMRF mylib/mrf.lua, which convolves with the style patches. Masks:
        Champandard 2016; alexjc/neural-doodle@b2fac92, which also normalises features and masks separately.

    Example:
        >>> style = torch.rand(1, 4, 5, 5)
        >>> nearest_patches(cut_patches(style, 3, 1)[0], [style], 3, 1)[1].tolist()  # each patch finds itself
        [0, 1, 2, 3, 4, 5, 6, 7, 8]
    """
    query_DN = patches_DN if guide is None else unit(patches_DN)  # without masks the length of a patch changes no order
    count = patches_DN.shape[1]
    best_N = patches_DN.new_full((count,), -torch.inf)
    index_N = torch.zeros(count, dtype=torch.int64, device=patches_DN.device)
    matches_DN = torch.zeros_like(patches_DN)
    before = 0
    masks = repeat(None) if guide is None else _strips(guide.maps, size, stride, chunk)
    for style_DK, mask_GK in zip(_strips(maps, size, stride, chunk), masks, strict=False):
        scores_KN = unit(style_DK).T @ query_DN
        if guide is not None and mask_GK is not None:
            scores_KN += guide.weight * (unit(mask_GK).T @ guide.patches)
        score_N, column_N = scores_KN.max(0)
        better_N = score_N > best_N
        best_N = torch.where(better_N, score_N, best_N)
        index_N = torch.where(better_N, column_N + before, index_N)
        matches_DN = torch.where(better_N, style_DK[:, column_N], matches_DN)
        before += style_DK.shape[1]
    return matches_DN, index_N


def unit(patches_DN: Tensor) -> Tensor:
    """Return the patches divided by their lengths, shape (D, N); a zero patch stays zero.

    Example:
        >>> unit(torch.tensor([[3.0, 0.0], [4.0, 0.0]])).T
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    return patches_DN / patches_DN.square().sum(0).sqrt().clamp_min(_TINY)


def patch_energy(maps: Sequence[Tensor], size: int, stride: int) -> Tensor:
    """Return the mean squared length of all patches, shape (): about the loss of features that are all zero.

    Args:
        maps: Feature maps of the style's copies, shape (1, C, H, W) each.
        size: Side of the patches in positions.
        stride: Distance between neighbouring patches in positions.

    Example:
        >>> patch_energy([torch.ones(1, 1, 5, 5)], size=3, stride=1)
        tensor(9.)
    """
    total, count = maps[0].new_zeros(()), 0
    for style_DK in _strips(maps, size, stride, CHUNK):
        total = total + style_DK.square().sum()
        count += style_DK.shape[1]
    return total / count


@dataclass(frozen=True, slots=True)
class PatchGuides:
    """The masks of a batch at one layer.

    Attributes:
        picture: The mask that all pictures of the batch share, shape (1, R, H, W).
        styles: For each picture, the masks of its style's images, shape (1, R, H, W) each.
        weight: Weight of the correlation of masks against the correlation of features.
    """

    picture: Tensor
    styles: tuple[tuple[Tensor, ...], ...]
    weight: float


@dataclass(frozen=True, slots=True)
class PatchTarget:
    """The style of a batch at one layer as patches; calling it returns each image's loss.

    Attributes:
        maps: For each picture, the feature maps of its style's copies, shape (1, C, H, W) each.
        energy: `patch_energy` of each picture's style, which the loss is divided by, shape (B,).
        size: Side of the patches in positions.
        stride: Distance between neighbouring patches in positions, in the picture and in the style.
        guides: Masks that are matched together with the features. The loss compares the features alone.

    Example:
        >>> style = torch.rand(1, 4, 5, 5)
        >>> PatchTarget(((style,),), torch.ones(1), size=3, stride=1)(style)
        tensor([0.])
    """

    maps: tuple[tuple[Tensor, ...], ...]
    energy: Tensor
    size: int
    stride: int
    guides: PatchGuides | None = None

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each image's mean squared distance of its patches to their matches, in relative units, shape (B,).

        The patches are matched anew at every call, and the matches are constants of the gradient.

        Source:
            Li & Wand 2016, eq. 2. Differs: the mean instead of the sum. The gradient is that of the returned loss,
            while chuanli11/CNNMRF averages the gradient where patches overlap and reports a loss of 0.
        """
        patches_BDN = cut_patches(features_BCHW, self.size, self.stride)
        with torch.no_grad():
            matches_BDN = torch.stack(
                [
                    nearest_patches(patches_DN, maps, self.size, self.stride, guide=guide)[0]
                    for patches_DN, maps, guide in zip(patches_BDN, self.maps, self._guides(), strict=True)
                ]
            )
        return (patches_BDN - matches_BDN).square().sum(1).mean(1) / self.energy

    def _guides(self) -> list[Guide] | list[None]:
        if self.guides is None:
            return [None] * len(self.maps)
        patches_GN = unit(cut_patches(self.guides.picture, self.size, self.stride)[0])
        return [Guide(patches_GN, maps, self.guides.weight) for maps in self.guides.styles]


def _strips(maps: Sequence[Tensor], size: int, stride: int, chunk: int) -> Iterator[Tensor]:
    """Yield the patches of the maps in order, shape (D, K), several rows of patches at a time."""
    for map_1CHW in maps:
        tops, lefts = (patch_starts(side, size, stride) for side in map_1CHW.shape[2:])
        rows = max(1, chunk // len(lefts))
        for first in range(0, len(tops), rows):
            top, last = tops[first], tops[first : first + rows][-1]
            yield cut_patches(map_1CHW[:, :, top : last + size], size, stride)[0]
