"""Textures and chromaticity histograms against independent float64 formulas, closed forms and facts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage, stats

from nst.pictures import colour_histogram, texture
from nst.pictures.metrics import measure


def noise(deviation, seed=0, side=96):
    return np.clip(np.random.default_rng(seed).normal(128, deviation, (side, side, 3)), 0, 255).astype(np.uint8)


def stripes(period, side=96):
    wave = 128 + 60 * np.sin(2 * np.pi * np.arange(side) / period)
    return np.broadcast_to(wave[:, None, None], (side, side, 3)).astype(np.uint8)


def distance(a, b):
    return texture.gap(texture.project(a), texture.project(b))


def test_bands_of_a_laplacian_pyramid_add_up_to_the_picture():
    picture = noise(30).astype(np.float32)
    bands = texture._bands(picture)
    assert [band.shape[0] for band in bands] == [96, 48, 24]
    kernel = np.array([1, 4, 6, 4, 1]) / 16

    def smooth(x):
        for axis in (0, 1):
            x = ndimage.correlate1d(x, kernel, axis=axis, mode="mirror")
        return x

    finest = smooth(picture.astype(float))[::2, ::2]
    raised = np.zeros_like(picture, dtype=float)
    raised[::2, ::2] = 4 * finest
    np.testing.assert_allclose(bands[0], picture - smooth(raised), atol=1e-3)


def test_the_distance_is_the_wasserstein_distance_along_each_direction():
    a, b = texture.project(noise(20, 1)), texture.project(noise(40, 2))
    per_band = []
    for first, second in zip(a, b, strict=True):
        pairs = zip(first, second, strict=True)
        per_band.append(np.mean([stats.wasserstein_distance(x, y) for x, y in pairs]))
    assert texture.gap(a, b) == pytest.approx(np.mean(per_band) * np.sqrt(np.pi / 2), rel=0.01)


def test_a_pattern_added_to_all_patches_costs_its_root_mean_square():
    flat, rng = np.zeros((texture.DIRECTIONS, 512), np.float32), np.random.default_rng(5)
    costs = []
    for _ in range(40):
        pattern = rng.normal(size=3 * texture.PATCH**2)
        shift = texture._directions() @ (7 * pattern / np.sqrt(np.square(pattern).mean()))
        costs.append(texture.gap((flat,), (flat + shift[:, None].astype(np.float32),)))
    assert np.mean(costs) == pytest.approx(7, rel=0.03)


def test_texture_is_blind_to_flat_colour_and_sees_strokes():
    assert distance(noise(20), noise(20)) == 0
    assert distance(noise(20), noise(20) + np.uint8(40)) < 0.5
    assert distance(noise(20, 1), noise(20, 2)) < distance(noise(20, 1), noise(40, 2)) / 4
    assert distance(stripes(8), np.roll(stripes(8), 4, axis=0)) < distance(stripes(8), stripes(24)) / 4
    assert texture.gap(texture.project(noise(20, side=15)), texture.project(noise(20))) is None


def test_pooled_textures_lie_between_and_pooling_equal_ones_changes_little():
    a, b = texture.project(noise(10)), texture.project(noise(50))
    half = texture.pool([a, b], [0.5, 0.5])
    assert texture.gap(a, half) == pytest.approx(texture.gap(half, b), rel=0.05)
    assert texture.gap(a, half) + texture.gap(half, b) == pytest.approx(texture.gap(a, b), rel=0.05)
    assert texture.gap(a, texture.pool([a, a], [0.3, 0.7])) < 0.05 * texture.gap(a, b)


def test_histogram_equals_the_equations_of_histogan():
    picture = noise(50, side=40)
    rgb = picture.reshape(-1, 3) / 255
    length = np.sqrt(np.square(rgb).sum(1) + 1e-6)
    bins = np.linspace(-3, 3, 64)
    expected = np.zeros((3, 64, 64))
    for channel, (first, second) in enumerate([(1, 2), (0, 2), (0, 1)]):
        u, v = (np.log(rgb[:, channel] + 1e-6) - np.log(rgb[:, other] + 1e-6) for other in (first, second))
        near_u, near_v = (1 / (1 + ((x[:, None] - bins) / 0.02) ** 2) for x in (u, v))
        expected[channel] = np.einsum("n,nu,nv->uv", length, near_u, near_v)
    expected /= expected.sum()
    np.testing.assert_allclose(colour_histogram.histogram(picture), expected, rtol=2e-3, atol=1e-9)
    assert colour_histogram.gap(expected, expected) == 0


def test_hellinger_distance_of_histograms_without_a_common_bin_is_one():
    a, b = np.zeros((2, 3, 64, 64))
    a[0, 0, 0] = b[1, 3, 3] = 1
    assert colour_histogram.gap(a, b) == pytest.approx(1)
    assert colour_histogram.gap(a, colour_histogram.pool([a, b], [0.5, 0.5])) == pytest.approx(
        np.sqrt(1 - np.sqrt(0.5))
    )


def test_tiny_pictures_have_no_texture_and_every_other_metric():
    found = measure(noise(20, side=8), noise(20, side=8), [noise(20, side=8)])
    assert "texture_distance_style" not in found
    assert found["histogram_distance_style"] == 0
