"""Palettes of pictures as distributions of colours, and the distance of two palettes in CIELAB units."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_GRID = 64
"""Side of the grid on which pixels are sampled: unlike shrinking, sampling does not mix neighbouring colours."""

_DIRECTIONS = 48
"""Number of directions along which palettes are compared."""

# sRGB (IEC 61966-2-1) to XYZ, rows divided by the white point D65 (2 degrees), so that white is (1, 1, 1).
_TO_XYZ = np.array(
    [
        [0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883],
    ]
)


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return uint8 sRGB, shape (..., 3), as CIELAB (D65), float64: L* in 0..100, a* and b* in about -110..110.

    Source:
        CIE 1976; IEC 61966-2-1 for the transfer curve.
    """
    xyz = _linear()[rgb] @ _TO_XYZ.T
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def sample(array: np.ndarray) -> np.ndarray:
    """Return the CIELAB colours of a picture at the centres of the cells of a regular grid, shape (4096, 3)."""
    height, width = array.shape[:2]
    rows = ((np.arange(_GRID) + 0.5) * height / _GRID).astype(int)
    columns = ((np.arange(_GRID) + 0.5) * width / _GRID).astype(int)
    return lab(array[rows[:, None], columns]).reshape(-1, 3)


def pool(samples: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return one sample of the same size that holds colours of every sample in proportion to its weight.

    Args:
        samples: Samples of equal size, as `sample` returns them.
        weights: Weight of each sample; they add up to 1.
    """
    if len(samples) == 1:
        return samples[0]
    count = len(samples[0])
    bounds = np.rint(np.cumsum([0.0, *weights]) * count).astype(int)
    order = np.random.default_rng(0).permutation(count)
    return np.concatenate([s[order[: b - a]] for s, a, b in zip(samples, bounds[:-1], bounds[1:], strict=True)])


def project(colours: np.ndarray) -> np.ndarray:
    """Return the sorted positions of a sample's colours along each of 48 fixed directions, float32, shape (48, N)."""
    return np.sort(_sphere() @ colours.T.astype(np.float32), axis=1)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the sliced Wasserstein-1 distance of two samples of equal size, in CIELAB units; 0 for equal palettes.

    It is the mean of the exact one-dimensional distance over 48 fixed directions, times 2, since the mean of |cos| over
    the sphere is 1/2: shifting every colour by a vector of length d gives d, to within 0.1 %.

    Source:
        Rabin et al. 2011, "Wasserstein barycenter and its application to texture mixing".
    """
    return gap(project(a), project(b))


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the `distance` of two samples of equal size, given their projections as `project` returns them."""
    return float(2.0 * np.abs(a - b).mean(dtype=np.float64))


@cache
def _linear() -> np.ndarray:
    """Return the linear light, in 0..1, of each sRGB byte, shape (256,)."""
    v = np.arange(256) / 255
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


@cache
def _sphere() -> np.ndarray:
    """Return evenly spread unit vectors (Fibonacci lattice), shape (48, 3)."""
    i = np.arange(_DIRECTIONS) + 0.5
    z = 1 - 2 * i / _DIRECTIONS
    angle = i * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z * z)
    return np.stack((radius * np.cos(angle), radius * np.sin(angle), z), axis=1).astype(np.float32)
