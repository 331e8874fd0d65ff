"""Textures of pictures as distributions of small patches, and the distance of two textures in grey levels."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    Projections = tuple[np.ndarray, ...]
    """Of each band, the sorted positions of the patches along each direction, float32, shape (`DIRECTIONS`, N)."""

PATCH: Final = 7
"""Side of a patch in pixels of its band."""

BANDS: Final = 4
"""Largest number of bands: details of about 2, 4, 8 and 16 pixels."""

_PATCHES: Final = 2048
"""Number of patches that are drawn from each band of a picture, with repetition."""

DIRECTIONS: Final = 64
"""Number of directions along which the patches are compared."""

_VALUES: Final = 3 * PATCH**2
_MEAN_PROJECTION: Final = math.sqrt(_VALUES / math.pi) * math.exp(
    math.lgamma(_VALUES / 2) - math.lgamma((_VALUES + 1) / 2)
)
"""Mean of |cos| over the unit sphere of the patches' space, times the root of their number of values."""

_SMALLEST: Final = 16
"""Smallest side in pixels of a band: a smaller one holds too few patches to be compared."""


def project(picture: np.ndarray) -> Projections:
    """Return the sorted projections of the patches of each band of a picture, from fine to coarse.

    The bands are those of a Laplacian pyramid without its last, coarsest picture: colours and lighting of whole areas
    do not count, which palettes measure. A picture with a side below 16 pixels has no band.

    Args:
        picture: HWC uint8 RGB.
    """
    projections = []
    for band in _bands(picture.astype(np.float32)):
        rows, columns = (side - PATCH + 1 for side in band.shape[:2])
        rng = np.random.default_rng(0)
        top, left = rng.integers(0, rows, _PATCHES), rng.integers(0, columns, _PATCHES)
        windows = np.lib.stride_tricks.sliding_window_view(band, (PATCH, PATCH), axis=(0, 1))
        patches = windows[top, left].reshape(_PATCHES, -1)
        projections.append(np.sort(_directions() @ patches.T, axis=1))
    return tuple(projections)


def pool(textures: Sequence[Projections], weights: Sequence[float]) -> Projections:
    """Return the projections of one picture's number of patches, taken from each texture in proportion to its weight.

    Args:
        textures: Projections as `project` returns them; of several, the bands that all of them have are kept.
        weights: Weight of each texture; they add up to 1.
    """
    if len(textures) == 1:
        return textures[0]
    bounds = np.rint(np.cumsum([0.0, *weights]) * _PATCHES).astype(int)
    pooled = []
    for bands in zip(*textures, strict=False):
        parts = []
        for band, begin, end in zip(bands, bounds[:-1], bounds[1:], strict=True):
            ranks = ((np.arange(end - begin) + 0.5) * _PATCHES / max(1, end - begin)).astype(int)
            parts.append(band[:, ranks])
        pooled.append(np.sort(np.concatenate(parts, axis=1), axis=1))
    return tuple(pooled)


def gap(a: Projections, b: Projections) -> float | None:
    """Return the sliced Wasserstein-1 distance of two textures in grey levels, the mean over the bands they share.

    It is the mean of the exact one-dimensional distance over 64 fixed directions, divided by the mean of |cos| over the
    unit sphere of the patches' space and by the root of their number of values: adding to the values of all patches a
    fixed pattern whose root mean square is d gives about d.

    Returns:
        The distance, at least 0; None where a picture is too small for a band.

    Source:
        Karras, Aila, Laine & Lehtinen 2018, section 5 and appendix, in tero-karras/progressive_growing_of_gans
        metrics/sliced_wasserstein.py. Differs: patches are not standardised, so that contrast counts, and the distance
        is scaled to grey levels.
    """
    gaps = [float(np.abs(first - second).mean(dtype=np.float64)) for first, second in zip(a, b, strict=False)]
    return float(np.mean(gaps)) / _MEAN_PROJECTION if gaps else None


def _bands(picture: np.ndarray) -> list[np.ndarray]:
    """Return the bands of a Laplacian pyramid, from fine to coarse, without its coarsest picture.

    Source:
        Burt & Adelson 1983.
    """
    bands: list[np.ndarray] = []
    while len(bands) < BANDS and min(picture.shape[:2]) >= _SMALLEST:
        smaller = _smooth(picture)[::2, ::2]
        height, width = picture.shape[:2]
        raised = np.zeros_like(picture)
        raised[::2, ::2] = 4.0 * smaller
        bands.append(picture - _smooth(raised)[:height, :width])
        picture = smaller
    return bands


def _smooth(picture: np.ndarray) -> np.ndarray:
    """Return the picture filtered by (1 4 6 4 1) / 16 in both directions, its borders mirrored."""
    for axis in (0, 1):
        padding = [(2, 2) if axis == side else (0, 0) for side in range(3)]
        wide = np.pad(picture, padding, mode="reflect")
        length = picture.shape[axis]
        parts = [wide.take(range(i, i + length), axis=axis) for i in range(5)]
        picture = (parts[0] + parts[4] + 4.0 * (parts[1] + parts[3]) + 6.0 * parts[2]) * np.float32(1 / 16)
    return picture


@cache
def _directions() -> np.ndarray:
    """Return fixed random unit vectors, float32, shape (64, 147)."""
    vectors = np.random.default_rng(1).normal(size=(DIRECTIONS, _VALUES))
    unit: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit.astype(np.float32)
