"""Washes of watercolour: transparent blots with dark rims and granulation on rough paper."""

from __future__ import annotations

import numpy as np

from nst.paintings import canvas

_PIGMENTS = canvas.rgb("d8413f", "f08a3c", "f5c33b", "2e9c8f", "2f6fb3", "6a4aa0", "c24a86", "7f9a3e")


def watercolour(size: int, seed: int) -> np.ndarray:
    """Return the picture, HWC uint8 with a long side of `size` pixels; equal seeds give equal pictures."""
    rng = np.random.default_rng([seed, 5])
    height, width = round(size * 0.8), size
    y, x = canvas.grid(height, width)
    paper = canvas.fractal(rng, height, width, 110, 3)
    light = np.ones((height, width, 3)) * canvas.rgb("fbf7ec")[0] / 255
    for blot in range(30):
        large = blot < 12
        radius = rng.uniform(0.16, 0.30) if large else rng.uniform(0.03, 0.12)
        cx, cy = rng.uniform(0, 1), rng.uniform(0, 0.8)
        ragged = canvas.fractal(rng, height, width, 5 if large else 12, 5) - 0.5
        inside = 1 - np.hypot(x - cx, (y - cy) * rng.uniform(0.8, 1.5)) / radius + ragged * 1.1
        edge = np.clip(inside / (0.012 / radius), 0, 1)
        rim = np.exp(-np.clip(inside, 0, None) / (0.022 / radius)) * edge  # pigment dries at the border
        pooled = 0.35 + 0.9 * canvas.fractal(rng, height, width, 6, 4) ** 1.5
        density = edge * (pooled * rng.uniform(0.5, 0.95) + 0.75 * rim) * (0.72 + 0.75 * (paper - 0.4))
        pigment = _PIGMENTS[rng.integers(len(_PIGMENTS))] / 255
        light *= np.clip(pigment, 0.12, 1) ** (np.clip(density, 0, None) * 0.85)[..., None]
    return canvas.finished(canvas.lit(light * 255, paper * 255, 0.10))
