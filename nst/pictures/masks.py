"""Masks as label images: the regions of a mask, the matching of regions between masks, and their shares of a grid.

Numpy only. The same colour means the same region in content and style. Shape letters: H rows, W columns, N colours, K
regions, 3 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REGIONS: Final = 16
"""Largest number of regions of one mask."""

SAME: Final = 40.0
"""Distance in RGB, 0..255 each, within which two colours of one mask are the same region; the noise of JPEG is less."""

ALIKE: Final = 80.0
"""Distance in RGB within which a colour of the content's mask matches the nearest colour of the styles' masks. People
paint the two masks in different programs: the doodles of DmitryUlyanov/fast-neural-doodle match red with orange-red."""

_FLAT: Final = 24
"""Largest difference of neighbouring pixels in a channel inside a region; borders change faster, even antialiased or
scaled ones."""

_CLOSE: Final = 16
"""Largest difference in a channel between a pixel and the colour of its region for the pixel to count as painted."""

_PAINTED: Final = 0.7
"""Smallest share of painted pixels in a mask. Masks that people paint have 94 % and more, even as JPEG of quality 40;
photographs and paintings have less than this share."""

_LEAST: Final = 5e-4
"""Smallest share of the flat pixels that a colour needs to be no noise."""

_HINT: Final = f"every colour is a region, and a mask has at most {MAX_REGIONS}; is it the photograph itself?"


@dataclass(frozen=True, eq=False)
class Labels:
    """The regions of a mask.

    Attributes:
        digest: Identity of the mask: SHA-256 of its file, or the colour of a mask of one colour.
        colors: `#rrggbb` of every region, the largest region first.
        index: Index of the region of each pixel, uint8, shape (H, W).
    """

    digest: str
    colors: tuple[str, ...]
    index: np.ndarray

    def shares(self, label: int, width: int, height: int) -> np.ndarray:
        """Return the share of every cell of a grid that belongs to a region, float32 in [0, 1], shape (height, width).

        The mask is laid over the whole grid and averaged by area, so that borders are soft where the grid is coarser,
        the shares of all regions add up to 1, and a cell that the region does not touch has exactly 0.

        Args:
            label: Index of the region.
            width: Number of columns of the grid.
            height: Number of rows of the grid.
        """
        inside_HW = (self.index == label).astype(np.float64)
        return _area_mean(_area_mean(inside_HW, height, 0), width, 1).astype(np.float32)


def plain_labels(color: str) -> Labels:
    """Return the mask of an image that is a single region of this colour, `#rrggbb`."""
    return Labels(color, (color,), np.zeros((1, 1), np.uint8))


def read_labels(digest: str, array_HW3: np.ndarray) -> Labels:
    """Return the regions of a label image: its dominant colours, and for each pixel the nearest of them.

    Only pixels whose neighbours have nearly the same colour vote for dominant colours, so that the blends along
    antialiased, scaled or JPEG-coded borders make no region; a region has to be three pixels wide somewhere.

    Args:
        digest: SHA-256 of the image's file.
        array_HW3: uint8 RGB.

    Raises:
        InputError: The image is no label image: it has more than `MAX_REGIONS` colours, or hardly any flat colour.

    Source:
        DmitryUlyanov/fast-neural-doodle@867d039, which clusters the colours of both masks by K-means. Differs: the
        number of regions follows from the mask; there the user gives it.
    """
    flat_HW = _flat(array_HW3)
    packed_HW = array_HW3.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    packed, inverse, total = np.unique(packed_HW, return_inverse=True, return_counts=True)
    counts = np.bincount(inverse.ravel(), flat_HW.ravel(), len(packed)) if flat_HW.any() else total
    colors_N3 = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float64)
    chosen = _dominant(colors_N3, counts.astype(np.float64))
    distances_NK = np.stack([np.square(colors_N3 - colors_N3[color]).sum(1) for color in chosen], axis=1)
    index_N = distances_NK.argmin(1)
    close_N = np.abs(colors_N3 - colors_N3[chosen][index_N]).max(1) <= _CLOSE
    if total[close_N].sum() < _PAINTED * total.sum():
        raise InputError("a mask without flat colours", hint=_HINT)
    index_HW = index_N.astype(np.uint8)[inverse].reshape(packed_HW.shape)
    return Labels(digest, tuple(f"#{packed[color]:06x}" for color in chosen), index_HW)


def match_regions(content: Labels, styles: Sequence[Labels], *, partly: bool = False) -> list[tuple[int | None, ...]]:
    """Return for every region of the content the index of that region in each style image; None where it has none.

    A region of the content matches the nearest colour of all style images, if that colour is `ALIKE`, in every style
    image that has the colour.

    Args:
        content: Regions of the content.
        styles: Regions of each style image.
        partly: Whether regions of the content may be in no style image, as long as one region is in some.

    Raises:
        InputError: A region of the content is in no style image; with `partly`, no region is in any.
    """
    palettes = [rgb(style.colors) for style in styles]
    matches: list[tuple[int | None, ...]] = []
    missing = []
    for number, wanted_3 in enumerate(rgb(content.colors)):
        best_3 = min((color_3 for palette in palettes for color_3 in palette), key=partial(_distance, wanted_3))
        if _distance(best_3, wanted_3) > ALIKE:
            missing.append(content.colors[number])
            matches.append((None,) * len(palettes))
            continue
        near = [[_distance(color_3, best_3) for color_3 in palette] for palette in palettes]
        matches.append(tuple(int(np.argmin(row)) if min(row) <= SAME else None for row in near))
    if len(missing) > (len(content.colors) - 1 if partly else 0):
        offered = ", ".join(dict.fromkeys(color for style in styles for color in style.colors))
        raise InputError(
            f"the content's mask has the regions {', '.join(content.colors)}, the style's {offered}: nothing for "
            f"{' and '.join(missing)}",
            hint="paint the region into the mask of a style in the same colour, or add a style with mask: '#rrggbb'",
        )
    return matches


def _dominant(colors_N3: np.ndarray, counts_N: np.ndarray) -> list[int]:
    """Return the indices of the dominant colours, the most frequent first; colours that are the `SAME` count as one."""
    left_N, least = counts_N.copy(), _LEAST * counts_N.sum()
    chosen: list[int] = []
    masses: list[float] = []
    while left_N.any():
        color = int(left_N.argmax())
        near_N = np.square(colors_N3 - colors_N3[color]).sum(1) <= SAME**2
        mass = float(left_N[near_N].sum())
        if mass < least:
            break
        chosen.append(color)
        masses.append(mass)
        left_N[near_N] = 0.0
        if len(chosen) > MAX_REGIONS:
            raise InputError(f"a mask of more than {MAX_REGIONS} colours", hint=_HINT)
    return [color for _, color in sorted(zip(masses, chosen, strict=True), key=lambda pair: (-pair[0], pair[1]))]


def _flat(array_HW3: np.ndarray) -> np.ndarray:
    """Return for each pixel whether its eight neighbours have nearly its colour; the edge is continued outwards."""
    low, high = array_HW3, array_HW3
    for axis in (0, 1):
        before, after = ((1, 0), (0, 1))
        rows = [
            np.pad(extreme, [sides if n == axis else (0, 0) for n in range(3)], "edge").take(
                range(shift, shift + extreme.shape[axis]), axis
            )
            for extreme in (low, high)
            for sides, shift in ((before, 0), (after, 1))
        ]
        low = np.minimum.reduce([low, *rows[:2]])
        high = np.maximum.reduce([high, *rows[2:]])
    flat_HW: np.ndarray = ((high - low) <= _FLAT).all(2)
    return flat_HW


def _area_mean(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Return the means over `count` equal stretches along an axis; a stretch may end within a pixel."""
    size = values.shape[axis]
    sums = np.cumsum(np.concatenate([np.zeros_like(values.take([0], axis)), values], axis), axis)
    edges = np.linspace(0.0, size, count + 1)
    below = np.minimum(edges.astype(int), size - 1)
    part = np.expand_dims(edges - below, 1 - axis)
    at_edges = sums.take(below, axis) * (1.0 - part) + sums.take(below + 1, axis) * part
    means: np.ndarray = np.clip(np.diff(at_edges, axis=axis) * (count / size), 0.0, 1.0)
    return means


def rgb(colors: Sequence[str]) -> list[np.ndarray]:
    """Return colours written as `#rrggbb` as float64 in 0..255, shape (3,) each."""
    return [np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)], np.float64) for color in colors]


def _distance(one_3: np.ndarray, other_3: np.ndarray) -> float:
    return float(np.sqrt(np.square(one_3 - other_3).sum()))
