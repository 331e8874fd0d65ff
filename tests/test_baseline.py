"""Baselines by their closed forms: what every kind keeps of the content and of the style."""

import numpy as np
import pytest
from cells import CONTENT, STYLES, blocks, picture, pictures_of, request, run

from nst.config.baseline import BaselineConfig
from nst.pictures import metrics
from nst.pictures.blurring import gaussian_blur
from nst.pictures.images import Pixels
from nst.pictures.masks import plain_labels

GREY = Pixels("grey", blocks(9, 96, 128, side=2) // 4 + 96)
"""Values in 96..159: little noise is clipped, and no colours of a muted style are."""


def made(content=CONTENT, styles=STYLES[:1], weights=(), **settings):
    (array,) = pictures_of(
        request(BaselineConfig(size=max(content.array.shape[:2]), **settings), content, styles, weights)
    )
    return array.astype(np.uint8)


def moments(array):
    pixels = array.reshape(-1, 3).astype(float)
    return pixels.mean(0), np.cov(pixels.T, bias=True)


def test_the_content_itself_is_as_similar_as_can_be():
    found = metrics.measure(made(), CONTENT.array)
    assert found["ssim_content"] == pytest.approx(1.0, abs=1e-6)
    assert found["psnr_content"] == 100.0
    assert made(picture(3, 30, 50), resize="short").shape == (50, 83, 3)


@pytest.mark.parametrize(("rows", "columns", "part"), [
    (32, 40, np.s_[:, :]), (32, 60, np.s_[:, 10:50]), (52, 40, np.s_[10:42, :]), (33, 40, np.s_[0:32, :]),
])  # fmt: skip
def test_the_style_is_cropped_around_its_centre(rows, columns, part):
    style = picture(5, rows, columns)
    assert np.array_equal(made(styles=[style], kind="style"), style.array[part])


def test_the_style_covers_the_picture_whatever_its_size():
    left, right = np.zeros((100, 100, 3), np.uint8), np.full((100, 100, 3), 255, np.uint8)
    found = made(styles=[Pixels("halves", np.hstack([left, right]))], kind="style").astype(int)
    assert found.shape == (32, 40, 3)
    assert found[:, :16].max() < 10
    assert found[:, 24:].min() > 245


def test_the_colours_have_the_mean_and_the_covariance_of_the_style():
    style = Pixels("muted", blocks(4, 30, 30, side=1) // 3 + 60)
    mean, covariance = moments(made(GREY, [style], kind="colors"))
    expected_mean, expected = moments(style.array)
    assert np.abs(mean - expected_mean).max() < 0.5
    assert np.abs(covariance - expected).max() < 0.01 * np.trace(expected)
    # A linear map of the colours and no other change: equal colours stay equal.
    flat = np.repeat(np.repeat(blocks(2, 8, 10, side=1), 4, 0), 4, 1)
    painted = made(Pixels("flat", flat), [style], kind="colors")
    assert np.array_equal(painted, np.repeat(np.repeat(painted[::4, ::4], 4, 0), 4, 1))


@pytest.mark.parametrize("sigma", [0.3, 2.0, 40.0])
@pytest.mark.parametrize("wave", [0, 1, 5])
def test_a_blurred_cosine_is_what_the_transfer_function_says(sigma, wave):
    x = np.cos(np.pi * wave * (np.arange(24) + 0.5) / 24)
    gain = np.exp(-((np.pi * wave * sigma / 24) ** 2) / 2)
    rows = np.tile(x[:, None, None], (1, 17, 3))
    assert np.allclose(gaussian_blur(rows, sigma), gain * rows, atol=1e-12)
    columns = rows.swapaxes(0, 1)
    assert np.allclose(gaussian_blur(columns, sigma), gain * columns, atol=1e-12)


def test_a_point_is_blurred_to_the_gaussian_window():
    point = np.zeros((65, 65, 1))
    point[32, 32] = 1.0
    distance = np.arange(65) - 32.0
    window = np.exp(-(distance**2) / (2 * 4.0**2)) / np.sqrt(2 * np.pi * 4.0**2)
    assert np.allclose(gaussian_blur(point, 4.0)[..., 0], np.outer(window, window), atol=1e-12)


def test_blur_keeps_the_mean_and_takes_the_contrast():
    blurred = made(kind="blur", blur_sigma=0.1)
    assert np.abs(moments(blurred)[0] - moments(CONTENT.array)[0]).max() < 0.1  # rounding to 8 bits
    before, after = (metrics.measure(array, None)["contrast"] for array in (CONTENT.array, blurred))
    assert after < 0.5 * before


def test_noise_has_its_deviation_and_no_mean():
    noise = made(GREY, kind="noise", noise_sigma=0.1).astype(float) - GREY.array
    count = noise.size
    assert abs(noise.mean()) < 4 * 25.5 / np.sqrt(count)
    assert noise.std() == pytest.approx(25.5, rel=4 / np.sqrt(2 * count))
    channels = np.corrcoef(noise.reshape(-1, 3).T) - np.eye(3)
    assert np.abs(channels).max() < 4 / np.sqrt(count / 3)


def test_the_seed_decides_the_noise():
    first, again, other = (made(kind="noise", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", ["style", "colors"])
def test_a_mix_is_the_mean_of_its_images(kind):
    one, two = (made(styles=[style], kind=kind).astype(float) for style in STYLES[:2])
    mixed = made(styles=STYLES[:2], weights=(0.75, 0.25), kind=kind)
    assert np.abs(mixed - (0.75 * one + 0.25 * two)).max() <= 0.5


def test_masks_do_not_matter():
    mask = plain_labels("#ff0000")
    (masked,) = run(request(BaselineConfig(size=40, kind="colors"), mask=mask, style_masks=[mask]))
    assert np.array_equal(masked.image, made(kind="colors"))


def test_a_cell_without_a_content_image_fails_alone():
    broken, whole = run(request(BaselineConfig(), content=None), request(BaselineConfig(kind="blur")))
    assert "needs a content image" in broken.error.message
    assert whole.error is None
    assert (whole.losses, whole.trace, whole.steps) == (None, (), 0)
