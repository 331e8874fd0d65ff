"""A night sky in thick curling strokes, after van Gogh's manner of 1889: vortices, haloed stars, hills, a cypress."""

from __future__ import annotations

import numpy as np
from PIL import Image

from nst.paintings import canvas


def swirls(size: int, seed: int) -> np.ndarray:
    """Return the picture, HWC uint8 with a long side of `size` pixels; equal seeds give equal pictures."""
    rng = np.random.default_rng([seed, 1])
    height, width = round(size * 0.8), size
    scene, field, _ = _landscape(rng, height, width)
    unit = size / 512
    paint = Image.fromarray(canvas.finished(scene)).resize((width * canvas.SCALE, height * canvas.SCALE))
    relief = Image.new("L", paint.size, 90)
    for spacing, length, thickness in ((9, 40, 8), (6, 26, 5), (4.6, 17, 3.2)):
        start = canvas.scatter(rng, height, width, spacing * unit)
        lines = canvas.paths(start, lambda p: canvas.pick(field, p), length * unit)
        colors = canvas.jitter(rng, canvas.pick(scene, lines[:, 3]), 17, 9)
        widths = thickness * unit * rng.uniform(0.7, 1.3, len(start))
        heights = rng.uniform(40, 190, len(start))
        canvas.strokes(paint, relief, lines=lines, colors=colors, widths=widths, heights=heights)
    painted = canvas.shrink(paint, height, width)
    return canvas.finished(canvas.lit(painted, canvas.shrink(relief, height, width), 0.42))


def swirls_mask(size: int, seed: int) -> np.ndarray:
    """Return the label image of the picture of this size and seed: blue sky, green hills, red cypress."""
    return _landscape(np.random.default_rng([seed, 1]), round(size * 0.8), size)[2]


def _landscape(rng: np.random.Generator, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return colours, unit vectors of the strokes and label image, shapes (H, W, 3), (H, W, 2) and (H, W, 3)."""
    y, x = canvas.grid(height, width)

    # The wind: to the right and wavy, bent around two great vortices and around every star.
    stars = _stars(rng)
    vortices = [(0.47, 0.30, 0.13, 1.0), (0.68, 0.38, 0.09, -0.8)]
    u = np.ones_like(x)
    v = 0.5 * np.sin(9 * x + 4 * y + rng.uniform(0, 6))
    for cx, cy, radius, turn in [*vortices, *((sx, sy, r * 1.1, rng.choice([-1.0, 1.0])) for sx, sy, r in stars)]:
        dx, dy = x - cx, y - cy
        pull = 6 * turn * np.exp(-(dx**2 + dy**2) / (radius * 1.15) ** 2) / radius
        u, v = u - dy * pull, v + dx * pull

    # The scene: blues by height and noise, light along the vortices' arms, haloes in rings.
    tone = 0.55 * canvas.fractal(rng, height, width, 5) + 0.45 * (0.5 + 0.5 * np.sin(26 * (y - 0.12 * np.sin(7 * x))))
    scene = canvas.ramp(canvas.rgb("0d1b4c", "1c3f8f", "2f66b5", "6fa3cf", "b9d3d8"), tone**1.4)
    for cx, cy, radius, _ in vortices:
        r = np.hypot(x - cx, y - cy)
        spiral = 0.5 + 0.5 * np.cos(2 * np.arctan2(y - cy, x - cx) - 60 * r)
        scene = _mix(scene, canvas.rgb("dfe6c8")[0], 0.75 * spiral * np.exp(-((r / radius) ** 2)))
    for cx, cy, radius in stars:
        r = np.hypot(x - cx, y - cy) / radius
        rings = 0.72 + 0.28 * np.cos(11 * r)
        scene = _mix(scene, canvas.rgb("e9c63a")[0], rings * np.exp(-((r / 1.05) ** 2)))
        scene = _mix(scene, canvas.rgb("fff6c4")[0], np.exp(-((r / 0.33) ** 4)))

    ridge = 0.60 + 0.05 * np.sin(6 * x + 1) + 0.03 * np.sin(15 * x + rng.uniform(0, 6)) - 0.06 * x
    hills = y > ridge
    folds = 0.5 + 0.5 * np.sin(70 * (y - ridge) + 5 * np.sin(9 * x))
    scene[hills] = canvas.ramp(canvas.rgb("0c1533", "1d3763", "2f6a6b", "7fa06a"), folds * 0.9)[hills]
    u, v = np.where(hills, 1, u), np.where(hills, 0.30 * np.cos(6 * x + 1) + 0.6 * np.cos(9 * x) * 0.4, v)

    flame = 0.17 * np.clip(y - 0.1, 0, 1) ** 0.8 * (1 + 0.22 * np.sin(38 * y))
    cypress = np.abs(x - 0.14 - 0.02 * np.sin(14 * y)) < flame
    scene[cypress] = canvas.ramp(
        canvas.rgb("0a1410", "23351f", "56602c", "2b3a1e"), 0.5 + 0.5 * np.sin(130 * x + 9 * np.sin(14 * y))
    )[cypress]
    mask = np.select([cypress[..., None], hills[..., None]], [canvas.rgb("ff0000"), canvas.rgb("00ff00")], (0, 0, 255))
    u, v = np.where(cypress, 0.45 * np.sin(26 * y + 20 * x), u), np.where(cypress, -1, v)

    norm = np.hypot(u, v) + 1e-6
    return scene, np.stack((u / norm, v / norm), axis=-1), canvas.finished(mask)


def _stars(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Return (x, y, radius) of a moon at the upper right and of ten stars apart from each other, in units of `grid`."""
    stars = [(0.88, 0.12, 0.085)]
    while len(stars) < 11:
        x, y, radius = rng.uniform(0.2, 0.97), rng.uniform(0.05, 0.46), rng.uniform(0.022, 0.048)
        if all(np.hypot(x - sx, y - sy) > 1.6 * (radius + r) for sx, sy, r in stars):
            stars.append((x, y, radius))
    return stars


def _mix(scene: np.ndarray, color: np.ndarray, share: np.ndarray) -> np.ndarray:
    mixed: np.ndarray = scene + (color - scene) * share[..., None]
    return mixed
