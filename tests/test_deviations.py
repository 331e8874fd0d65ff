"""AdaIN's style loss in closed form."""

import math

import pytest
import torch

from nst.losses.deviations import DEVIATIONS


@pytest.fixture
def target(device, dtype):
    """Means 0 and 1, deviations 1 and 0."""
    return tuple(torch.tensor([row], device=device, dtype=dtype) for row in ([0.0, 1.0], [1.0, 0.0]))


def test_statistics_are_means_and_deviations_of_channels(device, dtype, rounding):
    features = torch.tensor([[[[1.0, 3.0]], [[5.0, 5.0]]]], device=device, dtype=dtype)
    means, deviations = DEVIATIONS.statistics(features)
    assert means.tolist() == [[2.0, 5.0]]
    assert deviations[0].tolist() == pytest.approx([math.sqrt(1 + 1e-5), math.sqrt(1e-5)], rel=rounding)


def test_distance_and_energy_are_sums_of_squares(device, dtype, target, rounding):
    statistics = tuple(torch.tensor([row], device=device, dtype=dtype) for row in ([2.0, 5.0], [1.5, 0.25]))
    expected = 4.0 + 16.0 + 0.25 + 0.0625
    assert DEVIATIONS.distance(statistics, target).item() == pytest.approx(expected, rel=rounding)
    assert DEVIATIONS.energy(target).item() == 2.0


def test_gradient_matches_finite_differences(draw, target):
    exact = tuple(part.double() for part in target)
    free = draw(1, 2, 3, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: DEVIATIONS.distance(DEVIATIONS.statistics(x), exact), (free,))
