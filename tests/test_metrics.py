"""Metrics against scikit-image, SciPy, closed forms and facts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage, stats
from skimage import color
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from nst.pictures import palette
from nst.pictures.metrics import METRICS, colorfulness, gmsd, luminance, measure, noise, psnr, ssim, total_variation


def picture(seed, height=90, width=120):
    """A smooth random picture with a little noise."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    return np.clip(smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)


def flat(*rgb, size=64):
    return np.full((size, size, 3), rgb, np.uint8)


@pytest.mark.parametrize("shape", [(90, 120), (64, 64), (40, 33)])
def test_ssim_equals_scikit_image(shape):
    a, b = luminance(picture(0, *shape)), luminance(picture(1, *shape))
    b = 0.6 * a + 0.4 * b
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, values = structural_similarity(a, b, full=True, **settings)
    assert ssim(a, b) == pytest.approx(values[5:-5, 5:-5].mean(), abs=2e-5)


def test_ssim_of_two_flat_pictures_is_the_luminance_term():
    a, b = (np.full((20, 20), v, np.float32) for v in (100, 150))
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1), abs=2e-5)
    assert ssim(a[:5, :3], a[:5, :3]) == pytest.approx(1)


@pytest.mark.parametrize(("height", "width", "factor"), [(300, 340, 1), (383, 400, 1), (385, 420, 2), (640, 700, 2)])
def test_a_picture_is_shrunk_before_ssim_as_its_authors_advise(height, width, factor):
    """Wang's ssim_index.m: average F x F pixels, with F the short side divided by 256, rounded, at least 1."""
    a, b = picture(0, height, width), picture(1, height, width)
    b = (0.6 * a + 0.4 * b).astype(np.uint8)
    rows, columns = height // factor * factor, width // factor * factor
    small = [
        luminance(x)[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor).mean((1, 3))
        for x in (a, b)
    ]
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, values = structural_similarity(*small, full=True, **settings)
    assert measure(b, a)["ssim_content"] == pytest.approx(values[5:-5, 5:-5].mean(), abs=2e-5)


def test_gmsd_equals_the_definition_by_scipy():
    a, b = (luminance(picture(seed)) for seed in (0, 1))
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def magnitude(x):
        x = ndimage.uniform_filter(x.astype(float), 2, origin=-1)[::2, ::2]
        return np.hypot(ndimage.convolve(x, kernel), ndimage.convolve(x, kernel.T))[1:-1, 1:-1]

    first, second = magnitude(a), magnitude(b)
    expected = ((2 * first * second + 170) / (first**2 + second**2 + 170)).std()
    assert gmsd(a, b) == pytest.approx(expected, rel=1e-4)
    assert gmsd(a, a) == pytest.approx(0, abs=1e-6)
    assert gmsd(a, 255 - a) == pytest.approx(0, abs=1e-6)  # a negative has the same edges


def test_psnr_equals_scikit_image():
    a, b = picture(0), picture(1)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b), abs=1e-4)
    assert psnr(a, a) == 100
    assert psnr(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(0)


def test_lab_equals_scikit_image():
    rgb = np.random.default_rng(0).integers(0, 256, (500, 3), dtype=np.uint8)
    assert np.abs(palette.lab(rgb) - color.rgb2lab(rgb)).max() < 1e-3
    assert palette.lab(np.array([255, 255, 255], np.uint8)) == pytest.approx([100, 0, 0], abs=0.01)


def test_palette_distance_of_a_shift_is_its_length():
    rng = np.random.default_rng(0)
    colours = rng.normal(50, 10, (4096, 3))
    for shift in ([10, 0, 0], [0, -7, 0], [3, 4, 12]):
        moved = rng.permutation(colours + shift)  # order means nothing
        assert palette.distance(colours, moved) == pytest.approx(np.linalg.norm(shift), rel=0.01)
    assert palette.distance(colours, rng.permutation(colours)) == 0


def test_palette_distance_is_twice_scipys_mean_over_directions():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 10, (4096, 3)), rng.uniform(-40, 40, (4096, 3))
    directions = rng.normal(size=(300, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    distances = [stats.wasserstein_distance(a @ d, b @ d) for d in directions]
    error = 2 * np.std(distances) / len(distances) ** 0.5
    assert palette.distance(a, b) == pytest.approx(2 * np.mean(distances), abs=4 * error)
    assert error < 0.01 * palette.distance(a, b)


def test_a_mix_of_styles_has_the_pooled_palette():
    red, blue = flat(255, 0, 0), flat(0, 0, 255)
    half = np.concatenate((red, blue))
    quarter = np.concatenate((red, blue, blue, blue))
    assert measure(half, None, [red, blue])["palette_distance_style"] == pytest.approx(0, abs=0.01)
    assert measure(quarter, None, [red, blue], [0.25, 0.75])["palette_distance_style"] == pytest.approx(0, abs=0.01)
    assert measure(red, None, [red, blue])["palette_distance_style"] > 50


def test_colorfulness_is_zero_for_grey_and_known_for_two_colours():
    assert colorfulness(flat(90, 90, 90)) == 0
    assert colorfulness(flat(255, 0, 0)) == pytest.approx(0.3 * np.hypot(255, 127.5), rel=1e-5)
    pair = np.concatenate((flat(255, 0, 0), flat(0, 255, 0)))  # rg = +-255, yb = 127.5
    assert colorfulness(pair) == pytest.approx(255 + 0.3 * 127.5, rel=1e-5)


@pytest.mark.parametrize("sigma", [2, 10, 30])
def test_noise_finds_the_planted_deviation(sigma):
    ramp = np.add.outer(np.arange(200), np.arange(300)) * 0.3 + 20
    planted = ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape)
    assert noise(planted) == pytest.approx(sigma, rel=0.03)
    assert noise(ramp) == pytest.approx(0, abs=1e-9)


def test_total_variation_of_checkers_and_ramps():
    checkers = np.repeat((np.indices((8, 8)).sum(0) % 2 * 255)[..., None], 3, 2).astype(np.uint8)
    assert total_variation(checkers) == pytest.approx(2)
    ramp = np.broadcast_to((np.arange(10) * 5)[None, :, None], (7, 10, 3)).astype(np.uint8)
    assert total_variation(ramp) == pytest.approx(5 / 255)
    assert total_variation(flat(3, 200, 7)) == 0


def test_measure_returns_the_declared_columns_in_order():
    content, style = picture(0), picture(1, 50, 70)
    everything = measure(picture(2), content, [style])
    assert list(everything) == list(METRICS)
    assert all(isinstance(v, float) and np.isfinite(v) for v in everything.values())
    without = measure(picture(2), None)
    assert set(METRICS) - set(without) == {name for name in METRICS if name.endswith(("_content", "_style"))}


def test_the_content_itself_has_the_extreme_values():
    content = picture(0, 300, 520)
    found = measure(content, content, [content])
    assert found["ssim_content"] == pytest.approx(1)
    assert found["psnr_content"] == 100
    for name in ("gmsd_content", "palette_distance_style", "palette_distance_content"):
        assert found[name] == pytest.approx(0, abs=1e-6), name


def test_more_blur_means_less_content_kept():
    content = picture(0, 128, 128)
    found = [measure(ndimage.gaussian_filter(content, (s, s, 0)), content, [content]) for s in (0.5, 1.5, 4)]
    for name, sign in (("ssim_content", -1), ("psnr_content", -1), ("total_variation", -1), ("pixel_noise", -1)):
        values = [sign * f[name] for f in found]
        assert values == sorted(values), name


def test_a_content_of_another_size_is_resized_first():
    content = picture(0, 128, 128)
    large = np.asarray(Image.fromarray(content).resize((512, 512), Image.Resampling.LANCZOS))
    assert measure(content, large)["ssim_content"] > 0.98


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (3, 2, 3), (16, 16, 3)])
def test_tiny_pictures_have_finite_metrics(shape):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 256, shape, dtype=np.uint8) for _ in range(2))
    assert np.isfinite(list(measure(a, b, [b]).values())).all()


def test_saturated_share_counts_channel_values():
    assert measure(flat(0, 100, 255), None)["saturated_share"] == pytest.approx(2 / 3)


@pytest.mark.process
def test_metrics_import_neither_torch_nor_skimage():
    code = "import sys, nst.pictures.metrics; print(sorted({'torch', 'skimage', 'scipy', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
