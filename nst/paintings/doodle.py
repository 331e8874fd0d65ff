"""A doodle to be painted: the label image of a landscape, in the colours of the mask of `swirls`."""

from __future__ import annotations

import numpy as np

from nst.paintings import canvas


def doodle(size: int) -> np.ndarray:
    """Return the doodle, HWC uint8 with a long side of `size` pixels: blue sky, green hills, two red cypresses."""
    height, width = round(size * 0.75), size
    y, x = canvas.grid(height, width)
    mask = np.empty((height, width, 3), np.uint8)
    mask[:] = (0, 0, 255)
    mask[y > 0.45 + 0.16 * np.cos(7 * x) * x] = (0, 255, 0)
    for left, top, breadth in ((0.72, 0.08, 0.13), (0.88, 0.25, 0.09)):
        mask[(np.abs(x - left) < breadth * np.clip(y - top, 0, 1) ** 0.8) & (y < 0.69)] = (255, 0, 0)
    return mask
