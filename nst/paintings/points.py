"""A river bank in dots of pure colour, after Seurat's divisionism: a colour, its neighbours, some complements."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from nst.paintings import canvas


def points(size: int, seed: int) -> np.ndarray:
    """Return the picture, HWC uint8 with a long side of `size` pixels; equal seeds give equal pictures."""
    rng = np.random.default_rng([seed, 2])
    height, width = round(size * 0.8), size
    scene = _scene(rng, height, width)
    unit = size / 512
    paint = Image.new("RGB", (width * canvas.SCALE, height * canvas.SCALE), (226, 213, 180))
    draw = ImageDraw.Draw(paint)
    for spacing, radius in ((5.0, 3.4), (4.2, 2.4), (5.0, 1.9)):
        centres = canvas.scatter(rng, height, width, spacing * unit)
        colors = _divided(rng, canvas.pick(scene, centres))
        radii = radius * unit * rng.uniform(0.75, 1.2, len(centres)) * canvas.SCALE
        for (x, y), r, color in zip((centres * canvas.SCALE).tolist(), radii.tolist(), colors.tolist(), strict=True):
            draw.ellipse((x - r, y - r, x + r, y + r), tuple(color))
    return canvas.finished(canvas.shrink(paint, height, width))


def _divided(rng: np.random.Generator, colors: np.ndarray) -> np.ndarray:
    """Return colours pushed away from grey, about one in seven replaced by its complement, and some lightened."""
    grey = colors.mean(1, keepdims=True)
    vivid = canvas.jitter(rng, grey + (colors - grey) * 1.55, 14, 22)
    chance = rng.random((len(colors), 1))
    vivid = np.where(chance < 0.14, grey - (vivid - grey) * 0.9 + 18, vivid)
    return np.clip(np.where(chance > 0.94, vivid + 60, vivid), 0, 255).astype(int)


def _scene(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return the scene to paint: evening sky, far bank, water with reflections, three sails, lawn with shade, trees."""
    y, x = canvas.grid(height, width)
    clouds = canvas.fractal(rng, height, width, 4)
    scene = canvas.ramp(
        canvas.rgb("7fa6d6", "b9cfe0", "f3dfb0", "f0b37a"), np.clip(y / 0.34 + 0.25 * (clouds - 0.5), 0, 1)
    )
    bank = (y > 0.31 - 0.03 * canvas.fractal(rng, height, width, 9)) & (y < 0.36)
    scene[bank] = canvas.ramp(canvas.rgb("3f6a58", "6f8f5a", "8c7fa0"), canvas.fractal(rng, height, width, 14))[bank]
    ripples = 0.5 + 0.5 * np.sin(150 * y**1.4 + 3 * np.sin(8 * x) + 4 * clouds)
    water = (y >= 0.36) & (y < 0.60)
    scene[water] = canvas.ramp(canvas.rgb("335f9e", "6d97c4", "d8d9c2", "f2c48a"), 0.75 * ripples + 0.25 * clouds)[
        water
    ]
    for sail, sheet in ((0.33, 0.10), (0.52, 0.13), (0.60, 0.07)):
        up = 0.40 + sheet * 0.2 - y
        inside = (up > 0) & (up < sheet) & (x > sail) & (x < sail + (sheet - up) * 0.45)
        scene[inside | ((up < 0) & (up > -sheet * 0.6) & (np.abs(x - sail - 0.015) < 0.012))] = canvas.rgb("fbf3dd")[0]
    lawn = y > 0.56 + 0.12 * x + 0.015 * np.sin(20 * x)
    shade = canvas.fractal(rng, height, width, 6) + 0.5 * (y - 0.6)
    scene[lawn] = canvas.ramp(canvas.rgb("234d3a", "3f7a3c", "9fb544", "e8d55e"), np.clip(1.25 - shade * 1.3, 0, 1))[
        lawn
    ]
    for trunk, top, spread in ((0.12, 0.16, 0.15), (0.86, 0.20, 0.13)):
        leaves = canvas.fractal(rng, height, width, 16)
        crown = np.hypot((x - trunk) / spread, (y - top - 0.06) / 0.16) + 0.9 * (leaves - 0.5) < 1
        stem = (np.abs(x - trunk - 0.015 * np.sin(12 * y)) < 0.014) & (y > top) & (y < 0.72)
        scene[stem] = canvas.rgb("4a3152")[0]
        scene[crown] = canvas.ramp(canvas.rgb("1d3a4a", "2f6b3d", "86a63f", "e5c24f"), leaves)[crown]
    return scene
