"""Neural patches: cut out, matched by normalised cross-correlation, and the loss against the matches.

Knows no layer and no weight. Shape letters: B images, C channels, H rows, W columns, N patches, D = C x size^2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

CHUNK: Final = 2048
"""Style patches that are compared at a time: with 2,000 patches of 4,608 values, about 60 MB."""

_TINY: Final = 1e-12


def cut_patches(features_BCHW: Tensor, size: int, stride: int) -> Tensor:
    """Return all square patches of feature maps, row by row, shape (B, D, N)."""
    return functional.unfold(features_BCHW, size, stride=stride)


def nearest_patches(
    patches_DN: Tensor, maps: Sequence[Tensor], size: int, stride: int, *, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Return for each patch the style patch with the largest normalised cross-correlation: exactly, in bounded memory.

    Only `chunk` style patches (or one row of them) exist at a time, and of their scores only the best so far are kept.

    Args:
        patches_DN: Patches of one picture.
        maps: Feature maps of the style, shape (1, C, H, W) each, such as those of its rotated copies.
        size: Side of the patches.
        stride: Step between neighbouring style patches.
        chunk: Bound on the style patches at a time.

    Returns:
        The matches, shape (D, N), and their numbers, shape (N,), counted through all maps in order.

    Source:
        Li & Wand 2016, eq. 3; chuanli11/CNNMRF mylib/mrf.lua, which convolves with the style patches. A zero patch
        correlates 0 with everything.
    """
    count = patches_DN.shape[1]
    best_N = patches_DN.new_full((count,), -torch.inf)
    index_N = torch.zeros(count, dtype=torch.int64, device=patches_DN.device)
    matches_DN = torch.zeros_like(patches_DN)
    before = 0
    for style_DK in _strips(maps, size, stride, chunk):
        norms_K = style_DK.square().sum(0).sqrt().clamp_min(_TINY)
        score_N, column_N = ((style_DK / norms_K).T @ patches_DN).max(0)  # a patch's own norm changes no order
        better_N = score_N > best_N
        best_N = torch.where(better_N, score_N, best_N)
        index_N = torch.where(better_N, column_N + before, index_N)
        matches_DN = torch.where(better_N, style_DK[:, column_N], matches_DN)
        before += style_DK.shape[1]
    return matches_DN, index_N


def patch_energy(maps: Sequence[Tensor], size: int, stride: int) -> Tensor:
    """Return the mean squared length of the style's patches, a scalar: about the loss of features that are all zero."""
    total, count = maps[0].new_zeros(()), 0
    for style_DK in _strips(maps, size, stride, CHUNK):
        total = total + style_DK.square().sum()
        count += style_DK.shape[1]
    return total / count


@dataclass(frozen=True, slots=True)
class PatchTarget:
    """The style of a batch at one layer as patches; calling it returns each image's loss.

    Attributes:
        maps: Per image, the feature maps of its style's copies.
        energy: Shape (B,), what the loss is divided by.
        size: Side of the patches. stride: Step between neighbours, in the picture and in the style.
    """

    maps: tuple[tuple[Tensor, ...], ...]
    energy: Tensor
    size: int
    stride: int

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each image's mean squared distance of its patches to their matches, in relative units, shape (B,).

        The patches are matched anew at every call, and the matches are constants of the gradient.

        Source:
            Li & Wand 2016, eq. 2. Differs: mean for sum; and the loss is what its gradient belongs to, while
            chuanli11/CNNMRF averages the gradient where patches overlap and reports 0.
        """
        patches_BDN = cut_patches(features_BCHW, self.size, self.stride)
        with torch.no_grad():
            matches_BDN = torch.stack(
                [
                    nearest_patches(patches_DN, maps, self.size, self.stride)[0]
                    for patches_DN, maps in zip(patches_BDN, self.maps, strict=True)
                ]
            )
        return (patches_BDN - matches_BDN).square().sum(1).mean(1) / self.energy


def _strips(maps: Sequence[Tensor], size: int, stride: int, chunk: int) -> Iterator[Tensor]:
    """Yield the patches of the maps in order, shape (D, K), some rows of them at a time."""
    for map_1CHW in maps:
        height, width = map_1CHW.shape[2:]
        down, across = ((side - size) // stride + 1 for side in (height, width))
        rows = max(1, chunk // across)
        for first in range(0, down, rows):
            last = min(first + rows, down) - 1
            yield cut_patches(map_1CHW[:, :, first * stride : last * stride + size], size, stride)[0]
