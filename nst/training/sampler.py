"""Draws what each step learns from: photographs, crops, styles and seeds, all functions of (seed, step) alone.

The place in the data is therefore the number of steps, and a resumed training needs to remember nothing else.
Shape letters: B pictures, N photographs, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

_ORDER, _CROP, _STYLE, _NOISE = range(4)
"""Numbers of the independent streams of random numbers."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from."""

    photographs: np.ndarray | None
    """Squares of photographs, uint8 of shape (B, H, W, 3); None without photographs."""
    styles: list[int]
    """Index of the style of each picture."""
    seeds: list[int]
    """Seed of the noise of each picture."""


class Sampler:
    """The batches of a training.

    Args:
        photographs_NHW3: uint8 array or memory map; None for a training without photographs.
        size: Side in pixels of the squares that are cut from the photographs.
        batch_size: B, the number of pictures in a step.
        styles: Number of styles to draw from.
        seed: Seed of the order of the photographs, the crops, the styles and the seeds of the noise.
        views: How often each photograph is in a batch, its copies next to each other; a divisor of `batch_size`.

    Raises:
        InputError: The photographs have another shape or type, are smaller than `size`, or there are none.
    """

    def __init__(
        self, photographs_NHW3: np.ndarray | None, *, size: int, batch_size: int, styles: int, seed: int, views: int = 1
    ) -> None:
        if photographs_NHW3 is not None:
            _check(photographs_NHW3, size)
        self.photographs_NHW3, self.size, self.batch_size = photographs_NHW3, size, batch_size
        self.styles, self.seed, self.views = styles, seed, views
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def batch(self, step: int) -> Batch:
        """Return what the step that follows `step` steps learns from."""
        count = self.batch_size
        styles = self._random(_STYLE, step).integers(self.styles, size=count).tolist()
        seeds = self._random(_NOISE, step).integers(2**31, size=count).tolist()
        return Batch(None if self.photographs_NHW3 is None else self._photographs(step), styles, seeds)

    def _photographs(self, step: int) -> np.ndarray:
        """Return the squares of a step; every epoch shows each photograph once, in an order drawn for that epoch."""
        assert self.photographs_NHW3 is not None
        total, rows, columns = self.photographs_NHW3.shape[:3]
        random = self._random(_CROP, step)
        squares = []
        count = self.batch_size // self.views
        for place in range(step * count, (step + 1) * count):
            top, left = (int(random.integers(side - self.size + 1)) for side in (rows, columns))
            index = self._order_of(place // total)[place % total]
            squares.append(self.photographs_NHW3[index, top : top + self.size, left : left + self.size])
        return np.repeat(np.stack(squares), self.views, 0)

    def _order_of(self, epoch: int) -> Sequence[int] | np.ndarray:
        if epoch != self._epoch:
            assert self.photographs_NHW3 is not None
            self._epoch, self._order = epoch, self._random(_ORDER, epoch).permutation(len(self.photographs_NHW3))
        return self._order

    def _random(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, stream, number])


def random_crop(array: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return a square of a picture, cut at a place that the seed draws.

    Args:
        array: HWC picture, at least `size` pixels on both sides.
        size: Side of the square in pixels.
        seed: Seed of the place.
    """
    random = np.random.default_rng([seed, _CROP])
    top, left = (int(random.integers(side - size + 1)) for side in array.shape[:2])
    return array[top : top + size, left : left + size]


def _check(photographs: np.ndarray, size: int) -> None:
    if photographs.dtype != np.uint8 or photographs.ndim != 4 or photographs.shape[3] != 3:
        raise InputError(
            f"photographs are {photographs.dtype} of shape {photographs.shape}; expected uint8 (N, H, W, 3)"
        )
    if not len(photographs):
        raise InputError("no photographs to learn from")
    if min(photographs.shape[1:3]) < size:
        found = f"the photographs are {photographs.shape[2]} x {photographs.shape[1]} pixels"
        raise InputError(f"{found}; size {size} needs at least {size} x {size}", hint="lower size")
