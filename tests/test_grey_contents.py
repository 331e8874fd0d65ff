"""`color` on a content without colours: every kind that keeps the content's colours gives a grey picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nst.pictures.color import FINISHES, match_colors
from nst.pictures.images import decode


def grey(seed=0, low=0, high=256):
    """A grey photograph as its file decodes, HWC uint8."""
    rng = np.random.default_rng(seed)
    data = io.BytesIO()
    Image.fromarray(rng.integers(low, high, (6, 8), np.uint8).repeat(4, 0).repeat(4, 1), "L").save(data, "PNG")
    return decode(data.getvalue())


def tensor(array):
    return torch.from_numpy(array).permute(2, 0, 1)[None].double() / 255


def painted():
    return np.random.default_rng(3).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.mark.parametrize("content", [grey(), grey(1, 100, 110), np.full((24, 32, 3), 128, np.uint8)])
@pytest.mark.parametrize("color", FINISHES)
def test_the_finished_picture_is_as_grey_as_its_content(color, content):
    found = FINISHES[color](tensor(painted()), tensor(content))[0]
    assert found.isfinite().all()
    assert (found.amax(0) - found.amin(0)).max() < 1.5 / 255
    assert found.min() >= 0
    assert found.max() <= 1


def test_luminance_of_a_grey_content_is_the_luma_of_the_stylized_picture():
    found = FINISHES["luminance"](tensor(painted()), tensor(grey()))[0]
    luma = painted() @ np.array([0.299, 0.587, 0.114]) / 255  # Rec. 601
    np.testing.assert_allclose(found[0].numpy(), luma, atol=1.5 / 255)


@pytest.mark.parametrize("content", [grey(), np.full((24, 32, 3), 128, np.uint8)])
def test_a_style_is_given_no_colour_by_a_grey_content(content):
    found = match_colors(painted(), content).astype(int)
    assert (found.max(2) - found.min(2)).max() <= 2
    assert abs(found.mean() - content.mean()) < 3


@pytest.mark.parametrize("style", [grey(2), np.full((24, 32, 3), 90, np.uint8)])
def test_a_grey_style_takes_a_mean_and_nothing_that_is_not_finite(style):
    content = np.random.default_rng(5).integers(60, 200, (24, 32, 3), np.uint8)
    found = match_colors(style, content)
    np.testing.assert_allclose(found.mean((0, 1)), content.mean((0, 1)), atol=3)
