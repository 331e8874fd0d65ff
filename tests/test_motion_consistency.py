"""Which pixels a flow is trusted at: closed forms, the published rule written out, a scene with known occlusion."""

from __future__ import annotations

import math

import numpy as np
import pytest
from moving_scene import Scene, near
from PIL import Image

from nst.motion.consistency import consistency, cut
from nst.motion.flow import optical_flow
from nst.motion.warp import warp

SCENES = [
    ((2, 1), (-3, 2)),
    ((1, 0), (5, -3)),
    ((0, 0), (6.5, 0)),
    ((-1.4, 0.3), (2.6, -1.7)),
    ((0.25, 0), (1.5, 1.25)),
]
"""Velocities of background and square; whole pixels and parts of pixels."""


def uniform(height, width, across, down=0.0):
    return np.full((height, width, 2), (across, down), np.float32)


@pytest.mark.parametrize(("across", "gap", "trusted"), [(0, 0.70, 1), (0, 0.72, 0), (10, 1.66, 1), (10, 1.71, 0)])
def test_a_flow_is_trusted_within_the_published_bound(across, gap, trusted):
    # gap^2 = 0.01 gap^2 + 0.5 at 0.711 pixels without motion, gap^2 = 0.01 (10^2 + (10 + gap)^2) + 0.5 at 1.694.
    there, back = uniform(9, 40, across), uniform(9, 40, -across - gap)
    bound = 0.01 * (across**2 + (across + gap) ** 2) + 0.5
    assert (gap**2 < bound) == bool(trusted)
    assert np.all(consistency(there, back)[2:-2, 2:20] == trusted)


@pytest.mark.parametrize(("slope", "trusted"), [(0.040, 1), (0.050, 0)])
def test_an_edge_of_motion_is_where_the_flow_changes_faster_than_the_published_bound(slope, trusted):
    x = np.arange(30) - 15.0
    flow = np.zeros((9, 30, 2), np.float32)
    flow[..., 1] = slope * x  # gradient slope, length at most slope * 15
    back = -flow
    expected = slope**2 <= 0.01 * (slope * x) ** 2 + 0.002
    assert expected[15] == bool(trusted)
    # The ends of the picture are left out: rows move out of it, and the derivative is mirrored there.
    assert consistency(flow, back)[4, 15] == trusted


def test_the_blur_reaches_outwards_from_an_occluded_pixel():
    flow, back = uniform(11, 13, 0), uniform(11, 13, 0)
    back[5, 6] = 3, 0
    window = np.array([math.exp(-(i**2) / (2 * 0.8**2)) for i in range(-2, 3)])
    window /= window.sum()
    expected = np.ones((11, 13))
    expected[3:8, 4:9] = np.clip(1 - 2 * np.outer(window, window), 0, 1)
    assert np.abs(consistency(flow, back) - expected).max() < 1e-6


@pytest.mark.parametrize("seed", range(4))
def test_the_weights_are_those_of_the_published_rule(seed):
    random = np.random.default_rng(seed)
    flow = np.repeat(np.repeat(random.normal(0, 1.5, (3, 4, 2)), 10, 0), 10, 1).astype(np.float32)
    flow += random.normal(0, 0.02, flow.shape).astype(np.float32)
    there = warp(flow, -flow)
    back = (-there + random.normal(0, 0.2, flow.shape)).astype(np.float32)
    found = consistency(flow, back)
    assert np.abs(found - published(flow.astype(np.float64), back.astype(np.float64))).max() < 1e-6
    assert 0.1 < found.mean() < 0.9
    assert found.dtype == np.float32


def published(flow, back):
    """Return the weights by the rule of Ruder et al. 2016, pixel by pixel, in float64."""
    height, width = flow.shape[:2]
    values = np.ones((height, width))
    mirrored = np.pad(flow, ((1, 1), (1, 1), (0, 0)), mode="symmetric")
    for y in range(height):
        for x in range(width):
            u, v = flow[y, x]
            px, py = x + u, y + v
            if not (0 <= px <= width - 1 and 0 <= py <= height - 1):
                values[y, x] = 0
                continue
            left, top = min(int(px), width - 2), min(int(py), height - 2)
            a, b = px - left, py - top
            corners = back[top : top + 2, left : left + 2]
            r = (1 - b) * ((1 - a) * corners[0, 0] + a * corners[0, 1]) + b * (
                (1 - a) * corners[1, 0] + a * corners[1, 1]
            )
            if (u + r[0]) ** 2 + (v + r[1]) ** 2 >= 0.01 * (u * u + v * v + r[0] ** 2 + r[1] ** 2) + 0.5:
                values[y, x] = -1
                continue
            dx = (mirrored[y + 1, x + 2] - mirrored[y + 1, x]) / 2
            dy = (mirrored[y + 2, x + 1] - mirrored[y, x + 1]) / 2
            if (dx**2).sum() + (dy**2).sum() > 0.01 * (u * u + v * v) + 0.002:
                values[y, x] = 0
    window = np.exp(-np.square(np.arange(-2, 3)) / (2 * 0.8**2))
    window /= window.sum()
    padded = np.pad(values, 2, mode="symmetric")
    across = sum(window[i] * padded[:, i : i + width] for i in range(5))
    return np.clip(sum(window[i] * across[i : i + height] for i in range(5)), 0, 1)


@pytest.mark.parametrize(("background", "square"), SCENES)
def test_with_exact_flow_all_that_is_hidden_is_found_and_nothing_far_from_it(background, square):
    scene = Scene(background, square)
    weights = consistency(scene.flow(1, 0), scene.flow(0, 1))
    hidden = scene.occluded(1, 0) | ~scene.stays(1, 0)
    assert hidden.sum() > 100
    assert np.all(weights[hidden] < 0.5)  # recall 1
    # Precision 1: beyond the square's outline, what it hides and the borders everything is trusted in full, but for
    # the reach of the blur, of the derivative, and of a place between two pixels.
    assert np.all(weights[~near(hidden | scene.edges(1), 4)] == 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "scenes", "recall", "precision"),
    # Of all that is hidden, how much is distrusted; of all that is distrusted, how much lies within 6 pixels of the
    # square's outline, what it hides and the borders. Found of the least favourable scene: 0.80 and 0.75, 0.77 and
    # 0.85. Of the last scene, where square and background move 1.8 pixels apart, `dis_fast` finds 0.59 and 0.65.
    [("dis_fast", SCENES[:4], 0.75, 0.7), ("dis_medium", SCENES, 0.75, 0.8)],
)
def test_with_flow_that_was_found_most_of_what_is_hidden_is_found(preset, scenes, recall, precision):
    for scene in (Scene(background, square) for background, square in scenes):
        previous, now = scene.frame(0), scene.frame(1)
        weights = consistency(optical_flow(now, previous, preset), optical_flow(previous, now, preset))
        hidden = scene.occluded(1, 0) | ~scene.stays(1, 0)
        distrusted = weights < 0.5
        assert distrusted[hidden].mean() > recall
        assert near(hidden | scene.edges(1), 6)[distrusted].mean() > precision


def test_a_clip_that_stands_still_is_trusted_everywhere():
    frame = Scene((0, 0), (0, 0)).frame(0)
    flow = optical_flow(frame, frame)
    assert np.all(flow == 0)
    assert np.all(consistency(flow, flow) == 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (2, 3)])
def test_tiny_pictures_have_weights(size):
    still = uniform(*size, 0)
    assert np.array_equal(consistency(still, still), np.ones(size))


@pytest.mark.parametrize("preset", ["dis_ultrafast", "dis_fast", "dis_medium"])
def test_the_cut_of_a_film_is_found_and_no_other(shared_data, preset):
    frames = [
        np.asarray(Image.open(path).convert("RGB")) for path in sorted((shared_data / "video/bunny_cut").glob("*.jpg"))
    ]
    cuts = [
        228 + number
        for number in range(1, len(frames))
        if cut(
            consistency(
                optical_flow(frames[number], frames[number - 1], preset),
                optical_flow(frames[number - 1], frames[number], preset),
            )
        )
    ]
    assert cuts == [235]
