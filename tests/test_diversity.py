"""The diversity term in closed form."""

import math

import pytest
import torch

from nst.losses.diversity import FLOOR, diversity_loss


def test_diversity_is_minus_the_mean_log_distance_to_the_nearest(device, dtype, rounding):
    values = torch.tensor([0.0, 0.1, 0.7], device=device, dtype=dtype)
    images = values[:, None, None, None].expand(3, 3, 2, 2)
    nearest = [0.1, 0.1, 0.6]
    expected = -sum(0.5 * math.log(distance**2 + FLOOR) for distance in nearest) / 3
    assert diversity_loss(images).item() == pytest.approx(expected, rel=rounding)
    halved = diversity_loss(images / 2) - diversity_loss(images)
    assert halved.item() == pytest.approx(math.log(2), rel=1e-3)
    assert diversity_loss(torch.zeros_like(images)).item() == pytest.approx(-0.5 * math.log(FLOOR))


def test_groups_are_compared_by_themselves(device, dtype, rounding):
    values = torch.tensor([0.0, 0.7, 0.1, 0.4], device=device, dtype=dtype)
    pairs = values[:, None, None, None].expand(4, 3, 2, 2)
    expected = -0.25 * (math.log(0.7**2 + FLOOR) + math.log(0.3**2 + FLOOR))
    assert diversity_loss(pairs, 2).item() == pytest.approx(expected, rel=rounding)


def test_gradient_matches_finite_differences(draw):
    assert torch.autograd.gradcheck(diversity_loss, (draw(3, 1, 2, 2).double().requires_grad_(),))
