"""The content loss in closed form, and its gradient by the paper."""

import pytest
import torch

from nst.losses.content import content_distance, content_energy


@pytest.fixture
def features(draw):
    return draw(2, 3, 4, 5, seed=1)


@pytest.fixture
def target(draw):
    return draw(1, 3, 4, 5, seed=2)


def test_distance_is_the_mean_square_per_image(features, target, rounding):
    expected = [((features[i] - target[0]) ** 2).sum().item() / 60 for i in range(2)]
    assert content_distance(features, target).tolist() == pytest.approx(expected, rel=rounding)


def test_distance_of_itself_is_zero_and_of_nothing_is_the_energy(target):
    assert content_distance(target, target).item() == 0.0
    torch.testing.assert_close(content_distance(torch.zeros_like(target), target), content_energy(target))


def test_gradient_is_the_papers_equation_2(features, target):
    free = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(content_distance(free, target).sum(), free)
    torch.testing.assert_close(gradient, 2 / 60 * (features - target))


def test_gradient_matches_finite_differences(features, target):
    free = features.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: content_distance(x, target.double()), (free,))
