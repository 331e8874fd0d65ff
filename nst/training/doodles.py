"""Doodles drawn at random, from which a `doodle_net` learns to paint masks. Numpy only.

Shape letters: K regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nst.pictures.masks import rgb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nst.pictures.masks import Labels

_DOODLE: Final = 7
"""Number of this file's stream of random numbers, independent of the streams of `nst.training.sampler`."""

_CELLS: Final = 1.0, 5.0
"""Smallest and largest number of waves across a doodle: few waves draw large forms, many draw small ones."""

_FALL: Final = 2.5
"""Exponent by which the amplitude of shorter waves falls: borders are smooth, with some detail."""

_VARIATION: Final = 0.7
"""Standard deviation of the logarithm of a region's share of the doodle."""


def draw_doodles(mask: Labels, size: int, seeds: Iterable[int]) -> list[np.ndarray]:
    """Return random doodles in the colours of a mask and about in its proportions, HWC uint8.

    Args:
        mask: The mask of the style.
        size: Width and height of the doodles in pixels.
        seeds: Seed of each doodle.
    """
    colors_K3 = np.stack(rgb(mask.colors)).astype(np.uint8)
    return [colors_K3[random_doodle(areas(mask), size, seed)] for seed in seeds]


def areas(mask: Labels) -> np.ndarray:
    """Return the share of each region in a mask, shape (K,); the shares add up to 1."""
    return np.bincount(mask.index.ravel(), minlength=len(mask.colors)) / mask.index.size


def random_doodle(shares_K: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the index of each pixel's region, uint8 of shape (size, size): a function of the arguments alone.

    The regions take their pixels one after the other, in random order. A random landscape is drawn for each region,
    which takes its highest pixels among those that are left.

    Args:
        shares_K: About the share of the picture that each region takes; positive, of any sum.
        size: Width and height in pixels.
        seed: Seed of the shares, the order and the landscapes.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c generate.py cuts the heights of one landscape (diamond-square) into
        K slices, so that each region borders on at most two regions, and draws 1,000 masks once. Differs: a landscape
        of filtered noise for each region, so that any two regions may meet, with a scale drawn for each mask; shares
        that vary around those of the style's mask; new masks in every step.
    """
    random = np.random.default_rng([seed, _DOODLE])
    wanted_K = shares_K * np.exp(_VARIATION * random.standard_normal(len(shares_K)))
    counts_K = np.rint(wanted_K / wanted_K.sum() * size**2).astype(int)
    low, high = np.log(_CELLS)
    cells = float(np.exp(random.uniform(low, high)))
    *takers, last = random.permutation(len(shares_K))
    index_N = np.full(size**2, last, np.uint8)
    left_N = np.arange(size**2)
    for region in takers:
        rising_N = np.argsort(_landscape(random, size, cells).ravel()[left_N], kind="stable")
        keep = max(0, len(left_N) - counts_K[region])
        index_N[left_N[rising_N[keep:]]] = region
        left_N = left_N[rising_N[:keep]]
    return index_N.reshape(size, size)


def _landscape(random: np.random.Generator, size: int, cells: float) -> np.ndarray:
    """Return smooth random heights, shape (size, size): white noise, its waves shorter than size / cells damped."""
    grid = 2 * size  # the noise is periodic on its grid; half of the grid does not show that
    rows, columns = np.fft.fftfreq(grid)[:, None] * size, np.fft.rfftfreq(grid) * size
    damping = (1.0 + (rows**2 + columns**2) / cells**2) ** (-_FALL / 2)
    heights_HW: np.ndarray = np.fft.irfft2(np.fft.rfft2(random.standard_normal((grid, grid))) * damping)
    return heights_HW[:size, :size]
