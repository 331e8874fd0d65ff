"""The Laplacian loss against scipy, on ramps and dots, and what it does to pictures."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, farthest, request, run, small
from scipy.ndimage import laplace

from nst.config.gatys import GatysConfig
from nst.errors import InputError
from nst.losses.laplacian import ENERGY_FLOOR, laplacian, laplacian_energy, laplacian_loss
from nst.losses.units import laplacian_factor

settings = partial(small, GatysConfig, **LAYERS, steps=4)


@pytest.fixture
def images(draw):
    return draw(2, 3, 24, 20, seed=16).sigmoid()


def stylized(*configs):
    return run(*map(request, configs))


def loss_by_hand(image):
    pooled = [a.astype(float).reshape(16, 2, 20, 2, 3).mean((1, 3)) / 255 for a in (image, CONTENT.array)]
    ours, content = (sum(laplace(one[..., c])[1:-1, 1:-1] for c in range(3)) for one in pooled)
    return ((ours - content) ** 2).mean() / (content**2).mean()


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_it_is_scipys_of_the_pooled_picture(pool, images, rounding):
    for image, ours in zip(images.double().cpu().numpy(), laplacian(images, pool), strict=True):
        blocks = image.reshape(3, 24 // pool, pool, 20 // pool, pool).mean((2, 4))
        expected = -sum(laplace(channel)[1:-1, 1:-1] for channel in blocks)
        np.testing.assert_allclose(ours.double().cpu().numpy(), expected, atol=max(1e-12, rounding))


def test_a_ramp_has_none_and_a_dot_has_four(device, dtype):
    ramp = (torch.arange(12.0)[:, None] + 2.0 * torch.arange(16.0)).to(device, dtype).expand(1, 3, 12, 16)
    assert laplacian(ramp, 2).abs().max() == 0.0  # whole numbers round nothing
    dot = torch.zeros(1, 1, 5, 5, device=device, dtype=dtype)
    dot[..., 2, 2] = 1.0
    assert laplacian(dot, 1)[0].tolist() == [[0, -1, 0], [-1, 4, -1], [0, -1, 0]]


def test_relative_loss_is_zero_at_the_content_and_one_without_edges(images):
    target = laplacian(images, 2)
    energy = laplacian_energy(target)
    assert laplacian_loss(images, 2, target, energy).tolist() == [0.0, 0.0]
    flat = torch.full_like(images, 0.3)
    assert laplacian_loss(flat, 2, target, energy).tolist() == pytest.approx([1.0, 1.0])


def test_a_content_without_edges_does_not_divide_by_nothing(device, dtype):
    flat = laplacian(torch.full((1, 3, 16, 16), 0.5, device=device, dtype=dtype), 4)
    assert laplacian_energy(flat).item() == pytest.approx(ENERGY_FLOOR)


@pytest.mark.slow
def test_gradient_matches_finite_differences(images):
    target = laplacian(images[1:].double(), 3)
    energy = laplacian_energy(target)
    free = images[:1].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: laplacian_loss(x, 3, target, energy), (free,))


@pytest.mark.slow
def test_the_method_keeps_the_contents_edges_and_says_so():
    plain, kept = stylized(*(settings(laplacian_weight=weight, laplacian_pool=2, steps=25) for weight in (0.0, 300.0)))
    assert "laplacian" not in plain.losses.terms
    assert kept.losses.terms["laplacian"].weight_relative == 300.0
    assert kept.losses.terms["laplacian"].loss < 0.5 * loss_by_hand(plain.image)
    assert kept.losses.terms["laplacian"].loss == pytest.approx(loss_by_hand(kept.image), rel=1e-4)
    last = kept.trace[-1]
    assert last.loss == pytest.approx(sum(last.parts.values()), rel=1e-5)
    losses = kept.losses
    expected = (
        losses.terms["content"].loss
        + 100.0 * losses.terms["style"].loss
        + losses.terms["tv"].loss
        + 300.0 * losses.terms["laplacian"].loss
    )
    assert losses.loss == pytest.approx(expected, rel=1e-5)


def test_weight_zero_changes_nothing_alone_or_in_a_batch():
    alone = stylized(settings())[0]
    beside = stylized(settings(), settings(laplacian_weight=10.0))[0]
    assert farthest(alone.image, beside.image) <= 1
    assert "laplacian" not in beside.losses.terms


def test_a_picture_of_fewer_than_three_squares_is_refused():
    small, fine = stylized(settings(laplacian_weight=1.0, laplacian_pool=11), settings(laplacian_pool=11))
    assert isinstance(small.error, InputError)
    assert "40 x 32" in str(small.error)
    assert "33" in str(small.error)
    assert fine.error is None


def test_units_are_those_of_lapstyle(images, rounding):
    """askerlee/lapstyle takes the mean square of the summed Laplacians of a picture in 0..255."""
    target = laplacian(images, 4)
    energy = laplacian_energy(target)
    absolute = laplacian_loss(torch.zeros_like(images), 4, target, energy) * laplacian_factor("jcjohnson", energy)
    expected = laplacian(255.0 * images, 4).square().mean((1, 2))
    torch.testing.assert_close(absolute, expected, rtol=max(1e-7, rounding), atol=0)
    assert laplacian_factor("relative", 5.0) == 1.0
    assert laplacian_factor("crowsonkb", 5.0) == 5.0
