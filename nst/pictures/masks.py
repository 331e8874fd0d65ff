"""Label images: which colours a mask means, which regions two masks share, and how much of a region lies where.

Numpy only. The same colour is the same region in content and style. Shape letters: H rows, W columns, 3 channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_REGIONS: Final = 16
"""Regions that one mask may have."""

SAME: Final = 40.0
"""Distance in RGB within which two colours of one mask are one region: the noise of JPEG is below."""

ALIKE: Final = 80.0
"""Distance in RGB within which a colour of the content's mask is met by the nearest colour of the styles' masks, since
people paint the two in different programs: red and orange-red in the doodles of DmitryUlyanov/fast-neural-doodle."""

_FLAT: Final = 24
"""Largest difference in a channel inside a region; borders, even antialiased or scaled ones, change faster."""

_CLOSE: Final = 16
_MOST: Final = 0.7
"""So much of a mask lies within `_CLOSE` levels of its regions' colours: 94 % and more of painted masks, also as JPEG
of quality 40; photographs and paintings have less."""

_LEAST: Final = 5e-4
"""Share of the flat pixels below which a colour is noise."""

_HINT: Final = f"every colour is a region, of which there may be {MAX_REGIONS}; is it the photograph itself?"


@dataclass(frozen=True, eq=False)
class Labels:
    """A mask, read.

    Attributes:
        digest: What tells it from other masks: SHA-256 of the file, or the colour of a mask of one colour.
        colors: `#rrggbb` of every region, the largest first.
        index: HW uint8, the number of each pixel's region.
    """

    digest: str
    colors: tuple[str, ...]
    index: np.ndarray

    def shares(self, label: int, width: int, height: int) -> np.ndarray:
        """Return how much of every cell of a grid is this region, float32 in [0, 1], shape (height, width).

        The mask is laid over the whole grid and averaged by area, so that borders are soft where the grid is coarser,
        the shares of all regions add up to 1, and a cell that the region does not touch has exactly 0.
        """
        of_region_HW = (self.index == label).astype(np.float64)
        return _area_mean(_area_mean(of_region_HW, height, 0), width, 1).astype(np.float32)


def plain_labels(color: str) -> Labels:
    """Return the mask of an image that is one region as a whole."""
    return Labels(color, (color,), np.zeros((1, 1), np.uint8))


def read_labels(digest: str, array_HW3: np.ndarray) -> Labels:
    """Return the regions of a label image: its dominant colours, and each pixel's nearest of them.

    Colours count where the picture is flat around them, so that the blends along antialiased, scaled or JPEG-coded
    borders make no region; a region has to be three pixels wide somewhere.

    Args:
        digest: Of the image.
        array_HW3: uint8 RGB.

    Raises:
        InputError: It is no label image: more than `MAX_REGIONS` colours, or hardly any flat colour.

    Source:
        DmitryUlyanov/fast-neural-doodle@867d039 clusters the colours of both masks by K-means with a number that the
        user gives; here the number follows from the mask.
    """
    flat_HW = _flat(array_HW3)
    packed_HW = array_HW3.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    packed, inverse, total = np.unique(packed_HW, return_inverse=True, return_counts=True)
    counts = np.bincount(inverse.ravel(), flat_HW.ravel(), len(packed)) if flat_HW.any() else total
    colors_N3 = np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=1).astype(np.float64)
    chosen = _dominant(colors_N3, counts.astype(np.float64))
    distances_NK = np.stack([np.square(colors_N3 - colors_N3[one]).sum(1) for one in chosen], axis=1)
    index_N = distances_NK.argmin(1)
    close_N = np.abs(colors_N3 - colors_N3[chosen][index_N]).max(1) <= _CLOSE
    if total[close_N].sum() < _MOST * total.sum():
        raise InputError("a mask without flat colours", hint=_HINT)
    index_HW = index_N.astype(np.uint8)[inverse].reshape(packed_HW.shape)
    return Labels(digest, tuple(f"#{packed[one]:06x}" for one in chosen), index_HW)


def match_regions(content: Labels, styles: Sequence[Labels]) -> list[tuple[int | None, ...]]:
    """Return for every region of the content which region of each style image it is, None where one has it not.

    A colour is met by the nearest colour of all style images, if that is `ALIKE`, in each image that has it.

    Raises:
        InputError: No style image has a region that the content has.
    """
    palettes = [rgb(style.colors) for style in styles]
    matches: list[tuple[int | None, ...]] = []
    missing = []
    for number, color_3 in enumerate(rgb(content.colors)):
        best_3 = min((one for palette in palettes for one in palette), key=lambda one: _distance(one, color_3))
        if _distance(best_3, color_3) > ALIKE:
            missing.append(content.colors[number])
        near = [[_distance(one, best_3) for one in palette] for palette in palettes]
        matches.append(tuple(int(np.argmin(row)) if min(row) <= SAME else None for row in near))
    if missing:
        offered = ", ".join(dict.fromkeys(color for style in styles for color in style.colors))
        raise InputError(
            f"the content's mask has the regions {', '.join(content.colors)}, the style's {offered}: nothing for "
            f"{' and '.join(missing)}",
            hint="paint the region into a style's mask in the same colour, or add a style with mask: '#rrggbb'",
        )
    return matches


def _dominant(colors_N3: np.ndarray, counts_N: np.ndarray) -> list[int]:
    """Return the numbers of the dominant colours, the most frequent first, each with all that are the `SAME`."""
    left_N, least = counts_N.copy(), _LEAST * counts_N.sum()
    chosen: list[int] = []
    masses: list[float] = []
    while left_N.any():
        one = int(left_N.argmax())
        near_N = np.square(colors_N3 - colors_N3[one]).sum(1) <= SAME**2
        mass = float(left_N[near_N].sum())
        if mass < least:
            break
        chosen.append(one)
        masses.append(mass)
        left_N[near_N] = 0.0
        if len(chosen) > MAX_REGIONS:
            raise InputError(f"a mask of more than {MAX_REGIONS} colours", hint=_HINT)
    return [one for _, one in sorted(zip(masses, chosen, strict=True), key=lambda pair: (-pair[0], pair[1]))]


def _flat(array_HW3: np.ndarray) -> np.ndarray:
    """Return where the eight neighbours have nearly the pixel's own colour; the edge continues outwards."""
    low, high = array_HW3, array_HW3
    for axis in (0, 1):
        before, after = ((1, 0), (0, 1))
        rows = [
            np.pad(each, [sides if n == axis else (0, 0) for n in range(3)], "edge").take(
                range(shift, shift + each.shape[axis]), axis
            )
            for each in (low, high)
            for sides, shift in ((before, 0), (after, 1))
        ]
        low = np.minimum.reduce([low, *rows[:2]])
        high = np.maximum.reduce([high, *rows[2:]])
    flat_HW: np.ndarray = ((high - low) <= _FLAT).all(2)
    return flat_HW


def _area_mean(values: np.ndarray, count: int, axis: int) -> np.ndarray:
    """Return the means over `count` equal stretches along an axis, parts of pixels included."""
    size = values.shape[axis]
    sums = np.cumsum(np.concatenate([np.zeros_like(values.take([0], axis)), values], axis), axis)
    edges = np.linspace(0.0, size, count + 1)
    below = np.minimum(edges.astype(int), size - 1)
    part = np.expand_dims(edges - below, 1 - axis)
    at_edges = sums.take(below, axis) * (1.0 - part) + sums.take(below + 1, axis) * part
    means: np.ndarray = np.clip(np.diff(at_edges, axis=axis) * (count / size), 0.0, 1.0)
    return means


def rgb(colors: Sequence[str]) -> list[np.ndarray]:
    """Return the values 0..255 of colours written `#rrggbb`, float64."""
    return [np.array([int(color[start : start + 2], 16) for start in (1, 3, 5)], np.float64) for color in colors]


def _distance(one_3: np.ndarray, other_3: np.ndarray) -> float:
    return float(np.sqrt(np.square(one_3 - other_3).sum()))
