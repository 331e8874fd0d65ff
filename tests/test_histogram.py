"""Gram matrices with histograms: the remapped target, its gradient, and the instability that it removes."""

import numpy as np
import pytest
import torch
from skimage.exposure import match_histograms

from nst.losses.style import STYLE_LOSSES

LOSS, GRAM = STYLE_LOSSES["histogram"], STYLE_LOSSES["gram"]


@pytest.fixture
def style(draw):
    return draw(1, 3, 32, 32, seed=15).sigmoid().square()


@pytest.fixture
def features(draw):
    return draw(1, 3, 32, 32, seed=16).sigmoid()


@pytest.fixture
def remapped(features, style):
    """The features with the style's histograms in every channel, by another implementation."""
    arrays = [maps[0].double().cpu().numpy() for maps in (features, style)]
    return torch.from_numpy(match_histograms(*arrays, channel_axis=0))[None].to(features)


def by_hand(features, style, remapped):
    gram = GRAM.distance(GRAM.statistics(features), GRAM.statistics(style)) / GRAM.energy(GRAM.statistics(style))
    histograms = (features - remapped).square().mean((1, 2, 3)) / style.square().mean((1, 2, 3))
    return 0.5 * gram + 0.5 * histograms  # half and half, as `nst.losses.units` and the reference say


def relative(features, style):
    target = LOSS.prepare(LOSS.statistics(style))
    return LOSS.distance(LOSS.observe(features), target) / LOSS.energy(LOSS.statistics(style))


def test_the_loss_is_gram_plus_the_distance_to_the_remapped_features(features, style, remapped, rounding):
    expected = by_hand(features, style, remapped).item()
    assert relative(features, style).item() == pytest.approx(expected, rel=max(1e-9, rounding))


@pytest.mark.slow
def test_the_remapped_features_are_constants_of_the_gradient(features, style, remapped):
    free = features.clone().requires_grad_()
    (ours,) = torch.autograd.grad(relative(free, style).sum(), free)
    (expected,) = torch.autograd.grad(by_hand(free, style, remapped).sum(), free)
    torch.testing.assert_close(ours, expected)


def test_the_papers_instability_is_told_apart(device, dtype, rounding):
    """Risser et al. 2017, figure 4: other means and variances with the same Gram matrix."""
    grey = torch.full((1, 1, 64, 64), np.sqrt(0.5), device=device, dtype=dtype)
    noise = torch.zeros_like(grey)
    noise[..., ::2] = 1.0
    assert GRAM.distance(GRAM.statistics(grey), GRAM.statistics(noise)).item() == pytest.approx(0.0, abs=rounding)
    closed_form = 0.5 * (0.5 * 0.5 + 0.5 * (1.0 - np.sqrt(0.5)) ** 2) / 0.5
    assert relative(grey, noise).item() == pytest.approx(closed_form, rel=max(1e-9, rounding))
