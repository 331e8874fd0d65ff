"""Tools of all painters: noise, colour ramps, bundles of brush strokes, the relief of paint.

Shape letters: H rows, W columns, N colours, points or strokes, P points of a stroke.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCALE = 2
"""Factor by which shapes are drawn larger and then shrunk, since Pillow's shapes have hard edges."""


def rgb(*hexes: str) -> np.ndarray:
    """Return colours written like `1a2b3c` as floats in 0..255, shape (N, 3)."""
    return np.array([[int(h[i : i + 2], 16) for i in (0, 2, 4)] for h in hexes], float)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the row and column coordinates of all pixels, shape (H, W) each, in units of the longer side."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return y / max(height, width), x / max(height, width)


def fractal(rng: np.random.Generator, height: int, width: int, cells: float, octaves: int = 4) -> np.ndarray:
    """Return smooth noise in 0..1, shape (H, W); each octave is twice as fine and half as strong as the one before.

    Args:
        rng: Random numbers.
        height: Number of rows.
        width: Number of columns.
        cells: About the number of bumps of the first octave along the longer side.
        octaves: Number of octaves.
    """
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave / max(height, width)
        small = rng.random((max(2, round(height * count)) + 1, max(2, round(width * count)) + 1), np.float32)
        bumps = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(bumps) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low)


def ramp(colors: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return the colours at positions `t` in 0..1 along a ramp of N colours, floats in 0..255, shape (..., 3)."""
    stops = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(t, stops, colors[:, i]) for i in range(3)], axis=-1)


def paths(
    start: np.ndarray, direction: Callable[[np.ndarray], np.ndarray], length: float, steps: int = 6
) -> np.ndarray:
    """Return the points (x, y) of strokes that follow a field of unit vectors, shape (N, steps + 1, 2).

    Args:
        start: First points of the strokes, shape (N, 2).
        direction: Returns the unit vectors at points, shape (N, 2) to (N, 2).
        length: Length of the strokes in pixels.
        steps: Number of straight pieces of each stroke.
    """
    points = [start]
    for _ in range(steps):
        points.append(points[-1] + direction(points[-1]) * (length / steps))
    return np.stack(points, axis=1)


def strokes(
    paint: Image.Image,
    relief: Image.Image,
    *,
    lines: np.ndarray,
    colors: np.ndarray,
    widths: np.ndarray,
    heights: np.ndarray,
) -> None:
    """Draw brush strokes into a picture and its height map, each with a lit and a shaded flank.

    Args:
        paint: RGB image to draw into, `SCALE` times as large as the finished picture.
        relief: L image of the same size to draw the thickness of the paint into.
        lines: Points (x, y) of each stroke in pixels of the finished picture, shape (N, P, 2).
        colors: Colour of each stroke in 0..255, shape (N, 3).
        widths: Width of each stroke in pixels of the finished picture, shape (N,).
        heights: Thickness of the paint of each stroke in 0..255, shape (N,).
    """
    brush, knife = ImageDraw.Draw(paint), ImageDraw.Draw(relief)
    colors = np.clip(colors, 0, 255).astype(int)
    # The flanks are shifted from the stroke by a third of its width, at right angles to its chord.
    chord = lines[:, -1] - lines[:, 0]
    normal = np.stack((-chord[:, 1], chord[:, 0]), axis=1) / np.maximum(np.linalg.norm(chord, axis=1), 1e-6)[:, None]
    flank = lines + (normal * widths[:, None] * 0.33)[:, None]
    centre, side = ((points * SCALE).reshape(len(lines), -1).tolist() for points in (lines, flank))
    for i, color in enumerate(map(tuple, colors.tolist())):
        width = max(1, round(widths[i] * SCALE))
        brush.line(centre[i], color, width)
        brush.line(side[i], tuple(min(255, c + 22) for c in color), max(1, width // 4))
        knife.line(centre[i], int(heights[i]), width)
        knife.line(side[i], int(min(255, heights[i] + 60)), max(1, width // 3))


def shrink(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Return a drawing at its finished size, float32 in 0..255."""
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)


def lit(colors: np.ndarray, relief: np.ndarray, strength: float) -> np.ndarray:
    """Return the picture with light from the upper left falling on the relief; both are in 0..255."""
    dy, dx = np.gradient(relief)
    shaded: np.ndarray = colors + (strength * (dx + dy))[..., None]
    return shaded


def finished(colors: np.ndarray) -> np.ndarray:
    """Return colours in 0..255 as HWC uint8, rounded and clipped."""
    pixels: np.ndarray = np.clip(np.rint(colors), 0, 255).astype(np.uint8)
    return pixels


def jitter(rng: np.random.Generator, colors: np.ndarray, value: float, hue: float) -> np.ndarray:
    """Return colours changed by normal noise.

    Args:
        rng: Random numbers.
        colors: Colours in 0..255, shape (..., 3).
        value: Standard deviation, in grey levels, of the noise that all channels share.
        hue: Standard deviation, in grey levels, of the noise of each channel.
    """
    shape = colors.shape[:-1]
    varied: np.ndarray = colors + rng.normal(0, value, (*shape, 1)) + rng.normal(0, hue, (*shape, 3))
    return varied


def pick(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the values of a field, shape (H, W) or (H, W, C), at N points (x, y), which are clamped to the picture."""
    height, width = field.shape[:2]
    x = np.clip(points[:, 0], 0, width - 1).astype(int)
    y = np.clip(points[:, 1], 0, height - 1).astype(int)
    values: np.ndarray = field[y, x]
    return values


def scatter(rng: np.random.Generator, height: int, width: int, spacing: float) -> np.ndarray:
    """Return the points (x, y) of a jittered grid a little larger than the picture, in random order, shape (N, 2)."""
    columns, rows = int(width / spacing) + 3, int(height / spacing) + 3
    x, y = np.meshgrid(np.arange(columns) - 1.0, np.arange(rows) - 1.0)
    points = np.stack((x.ravel(), y.ravel()), axis=1) + rng.uniform(-0.6, 0.6, (x.size, 2))
    return rng.permutation(points * spacing)


def shapes(sequence: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return points given in pixels of the finished picture, scaled for drawing."""
    return [(x * SCALE, y * SCALE) for x, y in sequence]
