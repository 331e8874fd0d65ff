"""Doodles drawn at random, which a network of family `doodle_net` learns to paint. Numpy only.

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
"""Stream of random numbers beside those of `nst.training.sampler`."""

_CELLS: Final = 1.0, 5.0
"""Fewest and most waves across a doodle: large and small forms."""

_FALL: Final = 2.5
"""How fast the amplitude of shorter waves falls: borders are smooth, with some detail."""

_VARIATION: Final = 0.7
"""Standard deviation of the logarithm of a region's share."""


def draw_doodles(mask: Labels, size: int, seeds: Iterable[int]) -> list[np.ndarray]:
    """Return random doodles in the colours of a mask and about in its proportions, HWC uint8.

    Args:
        mask: Of the style.
        size: Width and height.
        seeds: One for each doodle.
    """
    colors_K3 = np.stack(rgb(mask.colors)).astype(np.uint8)
    return [colors_K3[random_doodle(areas(mask), size, seed)] for seed in seeds]


def areas(mask: Labels) -> np.ndarray:
    """Return how much of a mask each region is, shape (K,)."""
    return np.bincount(mask.index.ravel(), minlength=len(mask.colors)) / mask.index.size


def random_doodle(shares_K: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return the number of each pixel's region, uint8 of shape (size, size): a function of the arguments alone.

    Region after region, in random order, takes what lies highest of its own random landscape among what is left.

    Args:
        shares_K: How much of a picture each region takes, about; positive.
        size: Width and height.
        seed: Of everything.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c generate.py cuts the heights of one landscape (diamond-square) into
        K slices, so that each region borders on two others at most, and draws 1,000 masks once. Differs: a landscape
        for each region, so that any two may meet, by filtered noise of a scale drawn for each mask; shares about the
        style's; new masks in every step.
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
    """Return smooth random heights, shape (size, size): white noise, waves shorter than size / cells damped."""
    grid = 2 * size  # the noise repeats itself beyond its grid, which must not be seen
    rows, columns = np.fft.fftfreq(grid)[:, None] * size, np.fft.rfftfreq(grid) * size
    damping = (1.0 + (rows**2 + columns**2) / cells**2) ** (-_FALL / 2)
    heights_HW: np.ndarray = np.fft.irfft2(np.fft.rfft2(random.standard_normal((grid, grid))) * damping)
    return heights_HW[:size, :size]
