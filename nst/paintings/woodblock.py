"""Waves of a colour woodcut, after the Japanese prints of the 1830s: flat blues, drawn lines, foam, paper."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from nst.paintings import canvas

_INK = (22, 34, 66)
_BLUES = canvas.rgb("d9e4e0", "8fb3c6", "3f72a3", "1f4478", "16305c")


def woodblock(size: int, seed: int) -> np.ndarray:
    """Return the picture, HWC uint8 with a long side of `size` pixels; equal seeds give equal pictures."""
    rng = np.random.default_rng([seed, 4])
    height, width = round(size * 0.7), size
    y, _ = canvas.grid(height, width)
    sky = canvas.ramp(canvas.rgb("8a8f8c", "cfc6a6", "ead9b0", "eed9a8"), np.clip(y / 0.26, 0, 1))
    cloud = canvas.fractal(rng, height, width, 3, 2) + 0.25 * np.sin(40 * y)
    sky[(cloud > 0.62) & (y > 0.03)] = canvas.rgb("f4ead0")[0]  # flat bands of mist with hard edges
    sky[np.abs(cloud - 0.62) < 0.012] = canvas.rgb("b59f7c")[0]
    paint = Image.fromarray(canvas.finished(sky)).resize((width * canvas.SCALE, height * canvas.SCALE))
    draw = ImageDraw.Draw(paint)
    sun, left, top = 0.07 * size, 0.76 * width, 0.17 * height
    draw.ellipse(canvas.shapes([(left - sun, top - sun), (left + sun, top + sun)]), (201, 74, 48), _INK, canvas.SCALE)
    for depth in np.linspace(0, 1, 7).tolist():
        _wave(draw, rng, size, height, depth)
    painted = canvas.shrink(paint, height, width)

    # Wood grain of the block and fibres of the paper lie over everything.
    grain = np.sin(260 * (y + 0.03 * canvas.fractal(rng, height, width, 3)) + 8 * canvas.fractal(rng, height, width, 2))
    paper = canvas.fractal(rng, height, width, 120, 2) - 0.5
    painted += (3.0 * grain + 26 * paper)[..., None]
    return canvas.finished(painted * np.array([1.0, 0.99, 0.955]))


def _wave(draw: ImageDraw.ImageDraw, rng: np.random.Generator, size: int, height: int, depth: float) -> None:
    """Draw one row of breakers; depth 0 is the horizon, 1 the front."""
    unit = size / 512
    period = size * (0.15 + 0.30 * depth) * rng.uniform(0.9, 1.1)
    amplitude = size * (0.03 + 0.15 * depth)
    base = height * (0.33 + 0.74 * depth) + amplitude * 0.2
    shift = rng.uniform(0, period)
    s = np.arange(-period, size + period, 1.5 * unit)
    phase = ((s + shift) / period) % 1
    # A cycloid-like crest that leans to the right: slow rise, steep fall.
    crest = amplitude * (np.abs(np.sin(np.pi * phase**0.72)) ** 1.5) + amplitude * 0.15 * np.sin(
        s / size * 23 + depth * 9
    )
    lean = amplitude * 0.55 * np.sin(np.pi * phase**0.72) ** 4
    bands = 6 + round(6 * depth)
    for band in range(bands):
        sink = band / bands
        line = base - crest * (1 - 0.72 * sink) + sink**1.3 * height * (0.12 + 0.20 * depth)
        color = _BLUES[[4, 2, 1, 3, 0, 3, 2][band % 7]] * (0.97 + 0.03 * rng.random())
        points = canvas.shapes(list(zip((s + lean * (1 - sink)).tolist(), line.tolist(), strict=True)))
        draw.polygon([*points, (size * 4.0, height * 4.0), (-size * 2.0, height * 4.0)], tuple(color.astype(int)))
        draw.line(points, _INK, max(1, round((0.7 + 0.9 * depth) * unit * canvas.SCALE)))
    edge = np.stack((s + lean, base - crest), axis=1)
    _foam(draw, rng, edge=edge, phase=phase, amplitude=amplitude, unit=unit)


def _foam(
    draw: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    *,
    edge: np.ndarray,
    phase: np.ndarray,
    amplitude: float,
    unit: float,
) -> None:
    """Draw white, outlined fingers along the steep side of each crest, with spray above."""
    crest = edge[(phase > 0.34) & (phase < 0.82)]
    crest = crest[:: max(1, round(amplitude / (7 * unit)))]
    for x, y in crest.tolist():
        for _ in range(3):
            r = amplitude * rng.uniform(0.05, 0.13)
            cx, cy = x + rng.normal(0, amplitude * 0.06), y + rng.uniform(-0.03, 0.16) * amplitude
            box = [v * canvas.SCALE for v in (cx - r, cy - r, cx + r, cy + r)]
            draw.ellipse(box, (241, 238, 222), _INK, max(1, round(0.8 * unit * canvas.SCALE)))
        if rng.random() < 0.5:
            r = rng.uniform(0.8, 2.0) * unit
            cx, cy = x + rng.normal(0, amplitude * 0.3), y - rng.exponential(amplitude * 0.28)
            draw.ellipse([v * canvas.SCALE for v in (cx - r, cy - r, cx + r, cy + r)], (246, 243, 230))
