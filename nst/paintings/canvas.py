"""What every painting needs: noise, colour ramps, bundles of brush strokes, the relief of paint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCALE = 2
"""Shapes are drawn at twice the size and shrunk, since Pillow's shapes have hard edges."""


def rgb(*hexes: str) -> np.ndarray:
    """N x 3 floats in 0..255 of colours like `1a2b3c`."""
    return np.array([[int(h[i : i + 2], 16) for i in (0, 2, 4)] for h in hexes], float)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column coordinates in 0..1 of the longer side, each height x width."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return y / max(height, width), x / max(height, width)


def fractal(rng: np.random.Generator, height: int, width: int, cells: float, octaves: int = 4) -> np.ndarray:
    """Smooth noise in 0..1: about `cells` bumps along the longer side, each octave twice as fine and half as strong."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        count = cells * 2**octave / max(height, width)
        small = rng.random((max(2, round(height * count)) + 1, max(2, round(width * count)) + 1), np.float32)
        bumps = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(bumps) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low)


def ramp(colors: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Colours between N given ones at t in 0..1: ... -> ... x 3 floats in 0..255."""
    stops = np.linspace(0, 1, len(colors))
    return np.stack([np.interp(t, stops, colors[:, i]) for i in range(3)], axis=-1)


def paths(
    start: np.ndarray, direction: Callable[[np.ndarray], np.ndarray], length: float, steps: int = 6
) -> np.ndarray:
    """N x (steps + 1) x 2 points (x, y) of strokes that begin at N x 2 points and follow a field of unit vectors."""
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
        paint: RGB image at `SCALE` times the size.
        relief: L image of the same size: the thickness of the paint.
        lines: N x P x 2 points in pixels of the finished size.
        colors: N x 3 in 0..255.
        widths: N, pixels of the finished size.
        heights: N, in 0..255.
    """
    brush, knife = ImageDraw.Draw(paint), ImageDraw.Draw(relief)
    colors = np.clip(colors, 0, 255).astype(int)
    # The flanks lie a third of the width beside the stroke, at right angles to its chord.
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
    """The drawing at its finished size, float32 in 0..255."""
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS), np.float32)


def lit(colors: np.ndarray, relief: np.ndarray, strength: float) -> np.ndarray:
    """The picture with light from the upper left falling on the relief (both in 0..255)."""
    dy, dx = np.gradient(relief)
    shaded: np.ndarray = colors + (strength * (dx + dy))[..., None]
    return shaded


def finished(colors: np.ndarray) -> np.ndarray:
    """HWC uint8."""
    pixels: np.ndarray = np.clip(np.rint(colors), 0, 255).astype(np.uint8)
    return pixels


def jitter(rng: np.random.Generator, colors: np.ndarray, value: float, hue: float) -> np.ndarray:
    """Colours made lighter or darker together (`value`) and each channel by itself (`hue`), in grey levels."""
    shape = colors.shape[:-1]
    varied: np.ndarray = colors + rng.normal(0, value, (*shape, 1)) + rng.normal(0, hue, (*shape, 3))
    return varied


def pick(field: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values of an H x W (x C) field at N x 2 points (x, y), clamped to the picture."""
    height, width = field.shape[:2]
    x = np.clip(points[:, 0], 0, width - 1).astype(int)
    y = np.clip(points[:, 1], 0, height - 1).astype(int)
    found: np.ndarray = field[y, x]
    return found


def scatter(rng: np.random.Generator, height: int, width: int, spacing: float) -> np.ndarray:
    """N x 2 points (x, y) on a jittered grid a little larger than the picture, in random order."""
    columns, rows = int(width / spacing) + 3, int(height / spacing) + 3
    x, y = np.meshgrid(np.arange(columns) - 1.0, np.arange(rows) - 1.0)
    points = np.stack((x.ravel(), y.ravel()), axis=1) + rng.uniform(-0.6, 0.6, (x.size, 2))
    return rng.permutation(points * spacing)


def shapes(sequence: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points in finished pixels, scaled for drawing."""
    return [(x * SCALE, y * SCALE) for x, y in sequence]
