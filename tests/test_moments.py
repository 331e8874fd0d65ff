import numpy as np
import pytest
import scipy.linalg
import torch

from nst.losses.moments import moments_distance, moments_energy, moments_prepare, moments_statistics
from nst.ops import sqrt_newton_schulz, sqrt_symmetric, trace, trace_sqrt

GENERATOR = torch.Generator().manual_seed(4)
FEATURES = torch.randn(2, 4, 9, 8, generator=GENERATOR, dtype=torch.float64) + 0.5
TARGET = 1.5 * torch.randn(2, 4, 7, 9, generator=GENERATOR, dtype=torch.float64).relu()


def closed_form(features, target):
    """Wasserstein-2 distance of the two Gaussians by scipy, squared."""
    mean, other = features.mean(1), target.mean(1)
    covariance, wanted = np.cov(features, bias=True), np.cov(target, bias=True)
    ridge = 1e-4 * np.trace(wanted) / len(wanted) * np.eye(len(wanted))
    covariance, wanted = covariance + ridge, wanted + ridge
    root = scipy.linalg.sqrtm(wanted)
    cross = scipy.linalg.sqrtm(root @ covariance @ root)
    return ((mean - other) ** 2).sum() + np.trace(covariance + wanted - 2 * cross).real


def test_distance_is_wasserstein_2_between_gaussians():
    target = moments_prepare(moments_statistics(TARGET))
    ours = moments_distance(moments_statistics(FEATURES), target)
    for image in range(2):
        expected = closed_form(FEATURES[image].flatten(1).numpy(), TARGET[image].flatten(1).numpy())
        assert ours[image].item() == pytest.approx(expected, rel=1e-6)


def test_gaussians_on_a_line_differ_by_their_means_and_deviations():
    features = torch.randn(1, 1, 40, 50, generator=GENERATOR, dtype=torch.float64) * 2.0 + 3.0
    target = torch.randn(1, 1, 30, 20, generator=GENERATOR, dtype=torch.float64)
    ours = moments_distance(moments_statistics(features), moments_prepare(moments_statistics(target))).item()
    mean = features.mean() - target.mean()
    deviation = features.std(correction=0) - target.std(correction=0)
    assert ours == pytest.approx((mean**2 + deviation**2).item(), rel=1e-3)


def test_distance_of_itself_is_zero_and_of_nothing_is_the_energy():
    target = moments_prepare(moments_statistics(TARGET))
    energy = moments_energy(moments_statistics(TARGET))
    assert (moments_distance(moments_statistics(TARGET), target) / energy).abs().max() < 1e-9
    nothing = moments_distance(moments_statistics(torch.zeros_like(TARGET)), target)
    torch.testing.assert_close(nothing, energy, rtol=0.03, atol=0)  # up to the ridge


def test_gradient_matches_finite_differences():
    target = moments_prepare(moments_statistics(TARGET[:1]))
    features = FEATURES[:1, :, :3, :4].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: moments_distance(moments_statistics(x), target), (features,), rtol=1e-4)


def test_square_roots_equal_scipys():
    half = torch.randn(3, 6, 9, generator=GENERATOR, dtype=torch.float64)
    matrices = half @ half.transpose(1, 2)
    for ours, matrix in zip(sqrt_newton_schulz(matrices), matrices.numpy(), strict=True):
        np.testing.assert_allclose(ours.numpy(), scipy.linalg.sqrtm(matrix).real, rtol=1e-5, atol=1e-6)


def test_both_ways_to_the_trace_of_the_root_agree_in_value_and_gradient():
    half = torch.randn(2, 6, 40, generator=GENERATOR, dtype=torch.float64)
    matrices = (half @ half.transpose(1, 2)).requires_grad_()
    torch.testing.assert_close(sqrt_symmetric(matrices), sqrt_newton_schulz(matrices))
    values, gradients = [], []
    for result in (trace_sqrt(matrices), trace(sqrt_newton_schulz(matrices))):
        values.append(result)
        gradients.append(torch.autograd.grad(result.sum(), matrices)[0])
    torch.testing.assert_close(values[0], values[1])
    # A symmetric matrix moves along symmetric directions only.
    symmetric = [gradient + gradient.transpose(1, 2) for gradient in gradients]
    torch.testing.assert_close(symmetric[0], symmetric[1], rtol=1e-6, atol=1e-8)


def test_a_matrix_that_is_not_finite_spoils_no_other():
    matrices = torch.eye(3).repeat(2, 1, 1)
    matrices[1, 0, 0] = float("nan")
    traces = trace_sqrt(matrices)
    assert traces[0].item() == pytest.approx(3.0)
    assert traces[1].isnan()


def test_square_root_of_zero_is_zero():
    assert sqrt_newton_schulz(torch.zeros(1, 3, 3)).abs().max() == 0.0


def test_fewer_positions_than_channels_stay_finite_in_float32():
    features = torch.rand(1, 64, 4, 4, generator=GENERATOR).requires_grad_()
    target = moments_prepare(moments_statistics(torch.rand(1, 64, 4, 4, generator=GENERATOR)))
    loss = moments_distance(moments_statistics(features), target)
    (gradient,) = torch.autograd.grad(loss.sum(), features)
    assert loss.isfinite().all()
    assert gradient.isfinite().all()
