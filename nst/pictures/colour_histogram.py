"""Joint histograms of the chromaticities of pictures (RGB-uv), and the distance of two histograms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_GRID: Final = 150
"""Largest side of the grid on which pixels are sampled (the size of pictures in HistoGAN)."""

_BINS: Final = 64
_REACH: Final = 3.0
"""Bins along each of u and v, evenly spread over -3..3."""

_WIDTH: Final = 0.02
"""Width of the kernel by which a pixel counts in the bins around it."""

_TINY: Final = 1e-6


def histogram(picture: np.ndarray) -> np.ndarray:
    """Return the RGB-uv histogram of HWC uint8 RGB, float32, shape (3, 64, 64); its values add up to 1.

    Each channel c has a histogram of u = log(c / first other channel) and v = log(c / second other channel), in which a
    pixel counts with its length as a vector of RGB, through an inverse-quadratic kernel.

    Source:
        Afifi, Brubaker & Brown 2021 (HistoGAN), eq. 1-5: 64 bins, sigma 0.02, 150 pixels. Differs: a larger picture is
        sampled at the centres of the cells of a regular grid, not interpolated, since interpolation mixes colours.
    """
    height, width = picture.shape[:2]
    rows, columns = (_centres(side) for side in (height, width))
    rgb = picture[rows[:, None], columns].reshape(-1, 3).astype(np.float32) / np.float32(255)
    weight = np.sqrt(np.square(rgb).sum(1) + np.float32(_TINY))[:, None]
    logs = np.log(rgb + np.float32(_TINY))
    red_green, red_blue, green_blue = (_kernel(logs[:, i] - logs[:, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    red_green *= weight
    first, second = red_green.T @ red_blue, red_green.T @ green_blue
    red_blue *= weight
    # The bins lie symmetrically around zero: the counts of -u are those of u in reverse order.
    counts = np.stack([first, second[::-1], (red_blue.T @ green_blue)[::-1, ::-1]])
    found: np.ndarray = counts / (counts.sum(dtype=np.float64) + _TINY).astype(np.float32)
    return found


def pool(histograms: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Return the histogram of several pictures together, by their weights, which add up to 1."""
    pooled: np.ndarray = sum(
        (np.float32(share) * one for one, share in zip(histograms, weights, strict=True)), np.zeros_like(histograms[0])
    )
    return pooled


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Hellinger distance of two histograms, 0 for equal histograms to 1 for such that share no bin."""
    squares = np.square(np.sqrt(a) - np.sqrt(b)).sum(dtype=np.float64)
    return float(np.sqrt(squares / 2))


def _centres(side: int) -> np.ndarray:
    """Return the positions, at most 150, at which a side of a picture is sampled."""
    count = min(side, _GRID)
    return ((np.arange(count) + 0.5) * side / count).astype(int)


def _kernel(values: np.ndarray) -> np.ndarray:
    """Return by how much each value counts in each bin, 0..1, shape (N, 64)."""
    bins = np.linspace(-_REACH, _REACH, _BINS, dtype=np.float32)
    away: np.ndarray = (values[:, None] - bins) * np.float32(1 / _WIDTH)
    np.square(away, out=away)
    away += 1
    np.reciprocal(away, out=away)
    return away
