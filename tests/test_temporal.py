"""The temporal loss: its closed form, its gradient, and what it does to a frame."""

import numpy as np
import pytest
import torch
from cells import picture, request, small
from cells import run as run_batch

from nst.config import GatysConfig
from nst.losses.temporal import ENERGY_FLOOR, Before, contrast, temporal_loss
from nst.pictures.images import Pixels
from nst.workspace import FrameBefore


def test_it_is_the_weighted_mean_square_over_the_contrast_of_the_content():
    random = np.random.default_rng(0)
    x, near, far = random.random((3, 2, 3, 5, 4))
    c_near, c_far = random.random((2, 5, 4))
    expected = (c_near * (x - near) ** 2).mean((1, 2, 3)) + (c_far * (x - far) ** 2).mean((1, 2, 3))
    warped, weights = (list(map(torch.from_numpy, pair)) for pair in ((near, far), (c_near, c_far)))
    before = Before(warped, weights, torch.tensor(0.2, dtype=torch.float64))
    found = temporal_loss(torch.from_numpy(x), before)
    np.testing.assert_allclose(found.numpy(), expected / 0.2, rtol=1e-12)


def test_its_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, 4, 3)
    x, w = (torch.rand(shape, dtype=torch.float64, generator=generator) for _ in range(2))
    before = Before([w], [torch.rand(4, 3, dtype=torch.float64, generator=generator)], torch.tensor(0.3).double())
    assert torch.autograd.gradcheck(lambda pictures: temporal_loss(pictures, before), x.requires_grad_())


def test_the_contrast_of_one_colour_is_the_floor():
    assert contrast(torch.full((1, 3, 4, 4), 0.7)) == pytest.approx(ENERGY_FLOOR)


@pytest.mark.slow
def test_a_heavy_weight_holds_the_frame_where_the_motion_is_certain_and_nowhere_else():
    before = np.full((32, 40, 3), 0.25, np.float32)
    certain = np.zeros((32, 40), np.float32)
    certain[:, :20] = 1
    content = picture(0, 32, 40)
    config = small(GatysConfig, steps=30, pyramid={"levels": 1}, temporal_weight=1e6, style_weight=1.0)
    (result,) = run_batch(request(config, content, before=(FrameBefore(before, certain),), start=content))
    image = result.image / 255.0
    assert np.abs(image[:, :19] - 0.25).max() < 0.02
    assert np.abs(image[:, 24:] - 0.25).mean() > 0.1
    assert result.losses.terms["temporal"].weight_relative == pytest.approx(1e6)


@pytest.mark.slow
def test_a_frame_without_a_past_is_the_still():
    content = picture(0, 32, 40)
    with_weight, without = (
        run_batch(request(small(GatysConfig, steps=3, temporal_weight=weight), content))[0] for weight in (10.0, 0.0)
    )
    np.testing.assert_array_equal(with_weight.image, without.image)
    assert "temporal" not in with_weight.losses.terms


def test_noise_is_not_laid_over_the_frame_before():
    content, before = picture(0, 32, 40), Pixels("before", picture(5, 32, 40).array)
    certain = np.ones((32, 40), np.float32)
    past = (FrameBefore(before.array.astype(np.float32) / 255, certain),)
    config = small(GatysConfig, steps=1, init="noise", noise=1.0, pyramid={"levels": 1}, temporal_weight=1e9)
    (result,) = run_batch(request(config, content, before=past, start=before))
    assert np.abs(result.image.astype(int) - before.array).mean() < 8
