import pytest
import torch

from nst.losses.content import content_distance, content_energy

FEATURES = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TARGET = torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_distance_is_the_mean_square_per_image():
    expected = [((FEATURES[i] - TARGET[0]) ** 2).sum().item() / 60 for i in range(2)]
    assert content_distance(FEATURES, TARGET).tolist() == pytest.approx(expected, rel=1e-12)


def test_distance_of_itself_is_zero_and_of_nothing_is_the_energy():
    assert content_distance(TARGET, TARGET).item() == 0.0
    torch.testing.assert_close(content_distance(torch.zeros_like(TARGET), TARGET), content_energy(TARGET))


def test_gradient_is_the_papers_equation_2_and_matches_finite_differences():
    features = FEATURES.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(content_distance(features, TARGET).sum(), features)
    torch.testing.assert_close(gradient, 2 / 60 * (FEATURES - TARGET))
    assert torch.autograd.gradcheck(lambda x: content_distance(x, TARGET), (features,))
