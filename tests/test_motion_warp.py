"""Warping along a flow, against pixels moved by hand and bilinear interpolation written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
from moving_scene import Scene

from nst.motion.closest_first import closest_first
from nst.motion.warp import inside, places, warp


def noise(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def uniform(height, width, across, down):
    return np.broadcast_to(np.array([across, down], np.float32), (height, width, 2))


def bilinear(picture, x, y):
    """Return the value at one place, by the formula, in float64."""
    height, width = picture.shape[:2]
    x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
    left, top = min(int(x), width - 2), min(int(y), height - 2)
    a, b = x - left, y - top
    upper = (1 - a) * picture[top, left] + a * picture[top, left + 1]
    lower = (1 - a) * picture[top + 1, left] + a * picture[top + 1, left + 1]
    return (1 - b) * upper + b * lower


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])
def test_a_shift_by_whole_pixels_moves_the_bits(channels):
    picture = noise(23, 37, channels)
    warped = warp(picture, uniform(23, 37, 5, -3))
    assert warped.dtype == np.float32
    assert np.array_equal(warped[3:, :-5], picture[:-3, 5:])
    assert np.array_equal(warped[3:, -5:], np.repeat(picture[:-3, -1:], 5, axis=1))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_flow_is_bilinear_to_float32(channels):
    picture = noise(19, 31, channels)
    flow = (noise(19, 31, 2, seed=1) - 0.5) * 14
    x, y = (axis.astype(np.float64) for axis in places(flow))
    exact = [[bilinear(picture.astype(np.float64), x[i, j], y[i, j]) for j in range(31)] for i in range(19)]
    assert np.abs(warp(picture, flow) - exact).max() < 1e-6  # places rounded to 1/32 pixel are 1e-2 off


def test_a_ramp_is_read_exactly_between_its_pixels():
    y, x = np.mgrid[:40, :60].astype(np.float32)
    flow = (noise(40, 60, 2) - 0.5) * 6
    warped = warp(np.stack([x, y], -1) / 64, flow)
    exact = np.stack([x + flow[..., 0], y + flow[..., 1]], -1) / 64
    kept = inside(*places(flow))
    assert kept.mean() > 0.8
    assert np.abs(warped - exact)[kept].max() < 1e-6


def test_inside_ends_at_the_centres_of_the_last_pixels():
    assert inside(*places(uniform(4, 5, 0, 0))).all()
    assert np.array_equal(inside(*places(uniform(4, 5, 1, 0)))[0], [True, True, True, True, False])
    assert np.array_equal(inside(*places(uniform(4, 5, -0.25, 0)))[0], [False, True, True, True, True])
    assert np.array_equal(inside(*places(uniform(4, 5, 0, 2)))[:, 0], [True, True, False, False])
    assert inside(*places(uniform(1, 1, 0, 0))).all()


@pytest.mark.parametrize(("background", "square"), [((2, 1), (-3, 2)), ((0, 0), (7, 0))])
def test_the_exact_flow_of_a_moving_scene_brings_back_every_pixel_that_is_seen_twice(background, square):
    scene = Scene(background, square)
    previous, now = scene.frame(0), scene.frame(1)
    seen = scene.stays(1, 0) & ~scene.occluded(1, 0)
    warped = warp(previous.astype(np.float32), scene.flow(1, 0))
    assert np.array_equal(warped[seen], now[seen])
    assert not np.array_equal(warped[~seen], now[~seen])


def test_the_closest_frame_that_shows_a_pixel_counts():
    weights = [np.array([row], np.float32) for row in ([1, 0, 0, 0.5, 0.25], [1, 1, 0, 0.75, 0.25], [1, 1, 1, 1, 1])]
    near, middle, far = closest_first(weights)
    assert np.array_equal(near, [[1, 0, 0, 0.5, 0.25]])
    assert np.array_equal(middle, [[0, 1, 0, 0.25, 0]])
    assert np.array_equal(far, [[0, 0, 1, 0, 0.5]])  # max(1 - 0.5 - 0.75, 0) and 1 - 0.25 - 0.25
    assert closest_first([]) == []
