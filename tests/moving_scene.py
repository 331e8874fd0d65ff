"""A clip whose motion is known exactly: a textured square that moves over a textured background, which moves too.

Textures are sums of waves, so that they have a colour at every place between the pixels, and a frame is sampled from
them without any interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np


@dataclass(frozen=True)
class Scene:
    """Velocities are in pixels a frame, (x, y)."""

    background: tuple[float, float]
    square: tuple[float, float]
    height: int = 180
    width: int = 240
    corner: tuple[float, float] = (80.0, 50.0)
    side: float = 80.0

    @cache  # noqa: B019 - scenes are few and small
    def frame(self, time: float) -> np.ndarray:
        """Return the frame at a time, HW3 uint8."""
        x, y = self._places()
        covered = self.covered(time, x, y)
        exact = np.where(
            covered[..., None],
            texture(x - self.square[0] * time, y - self.square[1] * time, seed=1),
            texture(x - self.background[0] * time, y - self.background[1] * time, seed=2),
        )
        return np.rint(255 * exact).astype(np.uint8)

    def flow(self, time: float, other: float) -> np.ndarray:
        """Return the exact flow from the frame at a time to that at another, float32 of shape (H, W, 2)."""
        covered = self.covered(time, *self._places())[..., None]
        exact = np.where(covered, self.square, self.background) * (other - time)
        return exact.astype(np.float32)

    def occluded(self, time: float, other: float) -> np.ndarray:
        """Return which pixels of the frame at a time the square hides in the other frame, although they lie in it."""
        x, y = self._places()
        flow = self.flow(time, other).astype(np.float64)
        there = self.covered(other, x + flow[..., 0], y + flow[..., 1])
        return there & ~self.covered(time, x, y) & self.stays(time, other)

    def stays(self, time: float, other: float) -> np.ndarray:
        """Return which pixels lie in the other frame, hidden or not."""
        x, y = self._places()
        flow = self.flow(time, other).astype(np.float64)
        x, y = x + flow[..., 0], y + flow[..., 1]
        return (x >= 0) & (x <= self.width - 1) & (y >= 0) & (y <= self.height - 1)

    def edges(self, time: float) -> np.ndarray:
        """Return the pixels that have a neighbour which moves otherwise."""
        covered = np.pad(self.covered(time, *self._places()), 1, mode="edge")
        own = covered[1:-1, 1:-1]
        neighbours = covered[:-2, 1:-1], covered[2:, 1:-1], covered[1:-1, :-2], covered[1:-1, 2:]
        return np.any([one != own for one in neighbours], axis=0)

    def covered(self, time: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return which places the square covers at a time."""
        left, top = (self.corner[axis] + self.square[axis] * time for axis in (0, 1))
        return (x >= left) & (x < left + self.side) & (y >= top) & (y < top + self.side)

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        y, x = np.mgrid[: self.height, : self.width].astype(np.float64)
        return x, y


def texture(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Return RGB in [0, 1] of a texture at the given places: 40 waves of 4 to 64 pixels, the longer the stronger."""
    random = np.random.default_rng(seed)
    total = np.zeros((*x.shape, 3))
    for _ in range(40):
        length, angle = 4 * 16 ** random.random(), 2 * np.pi * random.random()
        across, down = np.cos(angle) * 2 * np.pi / length, np.sin(angle) * 2 * np.pi / length
        wave = np.sin(x * across + y * down + 2 * np.pi * random.random())
        total += wave[..., None] * random.uniform(-1, 1, 3) * length**0.5
    return 0.5 + 0.5 * np.tanh(total / 16)


def near(mask: np.ndarray, pixels: int) -> np.ndarray:
    """Return which pixels lie at most so many rows and columns away from one of the mask."""
    padded = np.pad(mask, pixels)
    shifts = range(2 * pixels + 1)
    height, width = mask.shape
    return np.any([padded[i : i + height, j : j + width] for i in shifts for j in shifts], axis=0)
