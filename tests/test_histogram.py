"""Gram matrices with histograms: the remapped target, its gradient, and the instability that it removes."""

import numpy as np
import pytest
import torch
from skimage.exposure import match_histograms

from nst.losses.histogram import SHARE
from nst.losses.style import STYLE_LOSSES

LOSS, GRAM = STYLE_LOSSES["histogram"], STYLE_LOSSES["gram"]
GENERATOR = torch.Generator().manual_seed(15)
STYLE = torch.rand(1, 3, 32, 32, generator=GENERATOR, dtype=torch.float64).square()
FEATURES = torch.rand(1, 3, 32, 32, generator=GENERATOR, dtype=torch.float64)


def remapped():
    """The features with the style's histograms in every channel, by another implementation."""
    matched = match_histograms(FEATURES[0].numpy(), STYLE[0].numpy(), channel_axis=0)
    return torch.from_numpy(matched)[None]


def by_hand(features):
    gram = GRAM.distance(GRAM.statistics(features), GRAM.statistics(STYLE)) / GRAM.energy(GRAM.statistics(STYLE))
    histograms = (features - remapped()).square().mean((1, 2, 3)) / STYLE.square().mean((1, 2, 3))
    return (1.0 - SHARE) * gram + SHARE * histograms


def ours(features):
    target = LOSS.prepare(LOSS.statistics(STYLE))
    return LOSS.distance(LOSS.observe(features), target) / LOSS.energy(LOSS.statistics(STYLE))


def test_the_loss_is_gram_plus_the_distance_to_the_remapped_features():
    assert ours(FEATURES).item() == pytest.approx(by_hand(FEATURES).item(), rel=1e-9)


def test_the_remapped_features_are_constants_of_the_gradient():
    gradients = []
    for loss in (ours, by_hand):
        features = FEATURES.clone().requires_grad_()
        gradients.append(torch.autograd.grad(loss(features).sum(), features)[0])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_papers_instability_is_told_apart():
    """Risser et al. 2017, figure 4: other means and variances with the same Gram matrix."""
    grey = torch.full((1, 1, 64, 64), np.sqrt(0.5), dtype=torch.float64)
    noise = torch.zeros_like(grey)
    noise[..., ::2] = 1.0
    assert GRAM.distance(GRAM.statistics(grey), GRAM.statistics(noise)).item() == pytest.approx(0.0, abs=1e-12)
    target = LOSS.prepare(LOSS.statistics(noise))
    relative = LOSS.distance(LOSS.observe(grey), target) / LOSS.energy(LOSS.statistics(noise))
    closed_form = SHARE * (0.5 * 0.5 + 0.5 * (1.0 - np.sqrt(0.5)) ** 2) / 0.5
    assert relative.item() == pytest.approx(closed_form, rel=1e-9)
