"""A stained-glass window: lead between cut panes, a rose in the middle, light behind uneven glass."""

from __future__ import annotations

import numpy as np

from nst.paintings import canvas

_JEWELS = canvas.rgb("8e1030", "c8321e", "e8871e", "f2c531", "1f7a4d", "0f5c8c", "1b2f8a", "5a2a8c", "a8cfe0")


def glass(size: int, seed: int) -> np.ndarray:
    """Return the window, HWC uint8 of `size` x `size` pixels; equal seeds give equal pictures."""
    rng = np.random.default_rng([seed, 3])
    y, x = canvas.grid(size, size)
    centres, hues = _panes(rng)

    # Panes are the Voronoi cells of their centres; the lead lies where two centres are equally far.
    wobble = 0.008 * (canvas.fractal(rng, size, size, 12) - 0.5)
    first = np.full(x.shape, np.inf, np.float32)
    second, owner = first.copy(), np.zeros(x.shape, int)
    for i, (cx, cy) in enumerate(centres.tolist()):
        d = np.hypot(x + wobble - cx, y - wobble - cy)
        closer = d < first
        second = np.where(closer, first, np.minimum(second, d))
        owner[closer] = i
        first = np.where(closer, d, first)
    gap = second - first
    radius = np.hypot(x - 0.5, y - 0.5)
    rings = np.min([np.abs(radius - r) for r in (0.075, 0.225, 0.385)], axis=0)

    tint = canvas.jitter(rng, hues, 16, 9)[owner]
    streaks = canvas.fractal(rng, size, size, 26, 3)[:, ::-1] * 0.6 + canvas.fractal(rng, size, size, 7) * 0.4
    tilt = ((x - centres[owner, 0]) * np.cos(owner) + (y - centres[owner, 1]) * np.sin(owner)) * 3
    light = 0.62 + 0.75 * (streaks - 0.35) + tilt + 0.28 * np.exp(-((radius / 0.3) ** 2))
    rim = np.clip(gap / 0.028, 0, 1) ** 0.5
    bubbles = (canvas.fractal(rng, size, size, 90, 2) > 0.86) * 26.0
    colors = tint * (light * (0.45 + 0.55 * rim))[..., None] + bubbles[..., None]

    lead = np.minimum(gap / 0.011, rings / 0.006)
    bead = np.clip(1 - np.abs(lead - 0.35) / 0.35, 0, 1)  # a rounded bar catches light along its middle
    worn = 0.5 + canvas.fractal(rng, size, size, 60)[..., None] * 0.5
    metal = canvas.rgb("1b1b20")[0] + 52 * bead[..., None] * worn
    share = np.clip((1.15 - lead) / 0.3, 0, 1)[..., None]
    return canvas.finished(colors * (1 - share) + metal * share)


def _panes(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the centres (x, y) and colours of all panes: petals in rings, and loose panes outside the rings."""
    centres, hues = [(0.5, 0.5)], [_JEWELS[3]]
    for count, radius, colors in ((8, 0.15, (0, 2)), (16, 0.27, (6, 1)), (16, 0.34, (5, 3)), (28, 0.43, (7, 4))):
        turn = rng.uniform(0, 6.3)
        for i in range(count):
            angle = turn + 2 * np.pi * i / count
            centres.append((0.5 + radius * np.cos(angle), 0.5 + radius * np.sin(angle)))
            hues.append(_JEWELS[colors[i % 2]])
    corner = rng.random((170, 2))
    corner = corner[np.hypot(*(corner - 0.5).T) > 0.47]
    centres += [tuple(c) for c in corner]
    hues += list(_JEWELS[rng.choice([4, 5, 6, 8, 2], len(corner))])
    return np.array(centres, np.float32), np.array(hues)
