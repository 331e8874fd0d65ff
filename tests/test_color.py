"""Colours given from one picture to another: YUV, OkLab, mean and covariance."""

import numpy as np
import pytest
import torch

from nst.pictures.color import match_colors, take_colors, take_luminance
from nst.pictures.oklab import from_linear, from_oklab, take_lightness, to_linear, to_oklab

GENERATOR = np.random.default_rng(0)


def test_luminance_is_the_stylized_images_and_chroma_the_contents():
    stylized = torch.rand(2, 3, 6, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 0.2 + 0.4
    content = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 0.2 + 0.4
    result = take_luminance(stylized, content)
    matrix = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.14713, -0.28886, 0.436], [0.615, -0.51499, -0.10001]], dtype=torch.float64
    )  # BT.601 RGB to YUV

    def yuv(pictures):
        return torch.einsum("ij,bjhw->bihw", matrix, pictures)

    torch.testing.assert_close(yuv(result)[:, 0], yuv(stylized)[:, 0])
    torch.testing.assert_close(yuv(result)[:, 1:], yuv(content).expand(2, -1, -1, -1)[:, 1:], rtol=0, atol=2e-5)


def test_matched_colors_have_the_contents_mean_and_covariance():
    mixing = GENERATOR.normal(size=(3, 3)) * 12
    style = (GENERATOR.normal(size=(40, 50, 3)) @ mixing + 120).clip(0, 255).astype(np.uint8)
    content = (GENERATOR.normal(size=(30, 20, 3)) * (8, 14, 20) + (90, 120, 140)).clip(0, 255).astype(np.uint8)
    matched = match_colors(style, content).reshape(-1, 3).astype(float)
    target = content.reshape(-1, 3).astype(float)
    np.testing.assert_allclose(matched.mean(0), target.mean(0), atol=0.5)
    np.testing.assert_allclose(np.cov(matched.T), np.cov(target.T), rtol=0.05, atol=3)


def test_a_style_with_the_contents_colors_already_is_left_as_it_is():
    style = GENERATOR.integers(60, 190, size=(20, 20, 3), dtype=np.uint8)
    assert np.abs(match_colors(style, style[::-1]).astype(int) - style).max() <= 1


def test_a_style_of_one_color_takes_the_contents_mean():
    content = GENERATOR.integers(60, 190, size=(20, 20, 3), dtype=np.uint8)
    matched = match_colors(np.full((8, 8, 3), 200, np.uint8), content)
    np.testing.assert_allclose(matched.reshape(-1, 3).mean(0), content.reshape(-1, 3).mean(0), atol=1)


# ---- OkLab --------------------------------------------------------------------------------------------------------
PUBLISHED = [  # XYZ and OkLab, from the table of test pairs in Ottosson 2020
    ((0.950, 1.000, 1.089), (1.000, 0.000, 0.000)),
    ((1.000, 0.000, 0.000), (0.450, 1.236, -0.019)),
    ((0.000, 1.000, 0.000), (0.922, -0.671, 0.263)),
    ((0.000, 0.000, 1.000), (0.153, -1.415, -0.449)),
]
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""Linear sRGB to XYZ (Lindbloom), rounded to seven digits."""


def colors(*values):
    """Colours as a picture of one row, float64."""
    return torch.tensor(values, dtype=torch.float64).T[None, :, None]


def lab(pictures):
    return to_oklab(to_linear(pictures))


@pytest.mark.parametrize(("xyz", "expected"), PUBLISHED)
def test_oklab_of_the_published_pairs(xyz, expected):
    light = np.linalg.solve(TO_XYZ, np.array(xyz))
    found = to_oklab(colors(light.tolist())).flatten()
    np.testing.assert_allclose(found, expected, atol=1.5e-3)


def test_white_black_and_grey_have_no_chroma():
    found = lab(colors((1, 1, 1), (0, 0, 0), (0.5, 0.5, 0.5)))
    np.testing.assert_allclose(found[0, :, 0, 0], [1, 0, 0], atol=1e-7)
    np.testing.assert_allclose(found[0, 0, 0, 1:], [0, ((0.5 + 0.055) / 1.055) ** 0.8], atol=1e-7)
    assert found[0, 1:].abs().max() < 1e-7


def test_oklab_leads_back_to_srgb():
    pictures = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(from_linear(from_oklab(lab(pictures))), pictures, rtol=0, atol=1e-10)


def test_lightness_is_the_stylized_pictures_in_any_colour_and_hue_the_contents():
    generator = torch.Generator().manual_seed(4)
    stylized, content = (torch.rand(2, 3, 30, 30, generator=generator, dtype=torch.float64) for _ in range(2))
    wanted, (_, a, b) = lab(stylized)[:, 0], lab(content).unbind(1)
    lightness, found_a, found_b = lab(take_lightness(stylized, content)).unbind(1)
    torch.testing.assert_close(lightness, wanted, rtol=0, atol=1e-8)
    kept = torch.hypot(found_a, found_b) / torch.hypot(a, b)
    assert kept.max() < 1 + 1e-5
    whole = kept > 1 - 1e-5
    assert 0.2 < whole.double().mean() < 0.8  # random colours: some have to give up chroma, and some do not
    torch.testing.assert_close(a[whole], found_a[whole], rtol=0, atol=1e-5)
    torch.testing.assert_close(a * found_b, b * found_a, rtol=0, atol=1e-6)  # the same hue
    reduced = from_linear(from_oklab(torch.stack([wanted, a, b], 1)))[:, 0][~whole]
    assert ((reduced <= 0) | (reduced >= 1)).double().mean() > 0.1  # those that gave it up had none to keep in sRGB


def test_chroma_falls_no_further_than_to_the_border_of_srgb():
    stylized, content = colors((0.9, 0.9, 0.9)), colors((0.0, 0.0, 1.0))
    result = take_lightness(stylized, content)
    assert result.max() == pytest.approx(1.0, abs=1e-4)
    assert result.min() > 0.5


# ---- colours matched afterwards -----------------------------------------------------------------------------------
def test_finished_pictures_take_the_contents_mean_and_covariance():
    generator = torch.Generator().manual_seed(5)
    mixing = torch.rand(3, 3, generator=generator, dtype=torch.float64) * 0.2
    content = 0.5 + torch.einsum("ij,bjhw->bihw", mixing, torch.rand(1, 3, 20, 30, generator=generator).double() - 0.5)
    finished = torch.rand(2, 3, 25, 25, generator=generator, dtype=torch.float64)
    result = take_colors(finished, content)
    assert 0 < result.min() < result.max() < 1  # nothing is clamped
    for picture in result:
        torch.testing.assert_close(picture.mean((1, 2)), content[0].mean((1, 2)), rtol=0, atol=1e-12)
        covariances = [torch.cov(image.flatten(1), correction=0) for image in (picture, content[0])]
        torch.testing.assert_close(*covariances, rtol=0, atol=2e-7)  # a ridge of 1e-7 keeps roots finite
