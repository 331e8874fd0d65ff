"""The temporal loss of trainings: warping against SciPy, the loss of networks whose answer is known, and its record."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from nst.training.fake_motion import fake_flow, moved, noisy
from nst.training.lessons.lesson import Lesson


def test_pictures_are_moved_as_scipy_moves_them():
    pictures = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = moved(pictures, [3, 4]).numpy()
    y, x = np.mgrid[:40, :56]
    for index, seed in enumerate((3, 4)):
        dx, dy = fake_flow(40, 56, seed).double().numpy()
        for channel in range(3):
            expected = map_coordinates(pictures[index, channel].numpy(), [y + dy, x + dx], order=1, mode="nearest")
            np.testing.assert_allclose(found[index, channel], expected, atol=1e-9)


def test_motion_is_smooth_and_as_large_as_it_is_said_to_be():
    flows = np.stack([fake_flow(256, 256, seed).numpy() for seed in range(60)])
    assert 6 < flows.std() < 14  # a deviation of 8 pixels and a shift of up to 10, interpolated
    steps = np.abs(np.diff(flows, axis=3))
    assert steps.mean() < 0.2  # neighbours move alike


class Known(Lesson):
    """A lesson whose network is a function of the pictures."""

    def __init__(self, function, weight):
        self.function, self.config = function, SimpleNamespace(temporal_weight=weight)

    def __call__(self, photographs, styles, seeds, *, whole=False):
        return self.function(photographs), None


PHOTOGRAPHS = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss(function, weight=1.0):
    lesson = Known(function, weight)
    return float(lesson.temporal_loss(function(PHOTOGRAPHS), PHOTOGRAPHS, [0, 0], [5, 6]))


def test_a_network_that_looks_at_single_pixels_is_charged_for_the_noise_alone():
    noise = noisy(torch.zeros_like(PHOTOGRAPHS), [5, 6])
    assert loss(lambda pictures: 2.0 * pictures, 3.0) == pytest.approx(3.0 * 2.0 * float(noise.abs().mean()), rel=1e-6)
    assert 0.0005 < float(noise.std()) < 0.003


def test_a_network_that_paints_by_position_is_charged_for_it():
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64)
    steady, by_position = loss(lambda pictures: pictures), loss(lambda pictures: pictures + ramp)
    assert by_position > 5 * steady


def test_without_a_weight_or_without_photographs_there_is_no_such_loss():
    assert loss(lambda pictures: pictures, 0.0) == 0.0
    lesson = Known(lambda pictures: pictures, 1.0)
    assert float(lesson.temporal_loss(PHOTOGRAPHS, None, [0, 0], [5, 6])) == 0.0
