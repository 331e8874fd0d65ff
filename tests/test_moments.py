"""The loss by moments against scipy's square roots, closed forms and finite differences.

On a CPU the trace of the root comes from eigenvalues, on a GPU from Newton-Schulz iterations: an approximation, which
tests with a `--device` other than cpu allow for.
"""

import numpy as np
import pytest
import scipy.linalg
import torch

from nst.losses.moments import moments_distance, moments_energy, moments_prepare, moments_statistics
from nst.ops import sqrt_newton_schulz, sqrt_symmetric, trace, trace_sqrt


@pytest.fixture
def features(draw):
    return draw(2, 4, 9, 8, seed=4) + 0.5


@pytest.fixture
def target(draw):
    return 1.5 * draw(2, 4, 7, 9, seed=5).relu()


@pytest.fixture
def accuracy(device, rounding):
    """Relative error of a distance: that of `trace_sqrt`, on this device."""
    return max(1e-6, rounding) if device.type == "cpu" else 1e-3


def array(tensor):
    return tensor.double().cpu().numpy()


def closed_form(features, target):
    """Wasserstein-2 distance of the two Gaussians by scipy, squared, with crowsonkb's 1e-4 on the diagonals."""
    mean, other = features.mean(1), target.mean(1)
    covariance, wanted = np.cov(features, bias=True), np.cov(target, bias=True)
    covariance, wanted = covariance + 1e-4 * np.eye(len(wanted)), wanted + 1e-4 * np.eye(len(wanted))
    root = scipy.linalg.sqrtm(wanted)
    cross = scipy.linalg.sqrtm(root @ covariance @ root)
    return ((mean - other) ** 2).sum() + np.trace(covariance + wanted - 2 * cross).real


def test_distance_is_wasserstein_2_between_gaussians(features, target, accuracy):
    ours = moments_distance(moments_statistics(features), moments_prepare(moments_statistics(target)))
    expected = [closed_form(*(array(maps[image].flatten(1)) for maps in (features, target))) for image in range(2)]
    assert ours.tolist() == pytest.approx(expected, rel=accuracy)


def test_gaussians_on_a_line_differ_by_their_means_and_deviations(draw):
    features, target = draw(1, 1, 40, 50, seed=6) * 2.0 + 3.0, draw(1, 1, 30, 20, seed=7)
    ours = moments_distance(moments_statistics(features), moments_prepare(moments_statistics(target))).item()
    mean = features.mean() - target.mean()
    deviation = features.std(correction=0) - target.std(correction=0)
    assert ours == pytest.approx((mean**2 + deviation**2).item(), rel=1e-3)


def test_distance_of_itself_is_zero_and_of_nothing_is_the_energy(target, rounding, accuracy):
    prepared, energy = moments_prepare(moments_statistics(target)), moments_energy(moments_statistics(target))
    itself = moments_distance(moments_statistics(target), prepared) / energy
    assert itself.abs().max() < (max(1e-9, rounding) if accuracy < 1e-3 else accuracy)
    nothing = moments_distance(moments_statistics(torch.zeros_like(target)), prepared)
    torch.testing.assert_close(nothing, energy, rtol=0.03, atol=0)  # up to the ridge


def test_gradient_matches_finite_differences(features, target):
    prepared = moments_prepare(moments_statistics(target[:1].double()))
    free = features[:1, :, :3, :4].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: moments_distance(moments_statistics(x), prepared), (free,), rtol=1e-4)


def test_square_roots_equal_scipys(draw, rounding):
    half = draw(3, 6, 9, seed=8)
    matrices = half @ half.transpose(1, 2)
    for ours, matrix in zip(sqrt_newton_schulz(matrices), array(matrices), strict=True):
        expected = scipy.linalg.sqrtm(matrix).real
        np.testing.assert_allclose(array(ours), expected, rtol=max(1e-5, rounding), atol=max(1e-6, rounding))


def test_both_ways_to_the_trace_of_the_root_agree_in_value_and_gradient(draw, rounding):
    half = draw(2, 6, 40, seed=9)
    matrices = (half @ half.transpose(1, 2)).requires_grad_()
    near = {"rtol": max(1e-6, rounding), "atol": max(1e-7, rounding)}
    torch.testing.assert_close(sqrt_symmetric(matrices), sqrt_newton_schulz(matrices), **near)
    values, gradients = [], []
    for result in (trace_sqrt(matrices), trace(sqrt_newton_schulz(matrices))):
        values.append(result)
        gradients.append(torch.autograd.grad(result.sum(), matrices)[0])
    torch.testing.assert_close(*values, **near)
    # A symmetric matrix moves along symmetric directions only.
    torch.testing.assert_close(*(gradient + gradient.transpose(1, 2) for gradient in gradients), **near)


def test_a_matrix_that_is_not_finite_spoils_no_other(device, dtype):
    matrices = torch.eye(3, device=device, dtype=dtype).repeat(2, 1, 1)
    matrices[1, 0, 0] = float("nan")
    traces = trace_sqrt(matrices)
    assert traces[0].item() == pytest.approx(3.0)
    assert traces[1].isnan()


def test_square_root_of_zero_is_zero(device, dtype):
    assert sqrt_newton_schulz(torch.zeros(1, 3, 3, device=device, dtype=dtype)).abs().max() == 0.0


@pytest.mark.parametrize("scale", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("side", [1, 2, 4])
def test_fewer_positions_than_channels_are_no_matter_in_float32(side, scale, device):
    """Features of the scale of faint layers, of torchvision's weights and of Caffe's, whose ridge rounds to nothing."""
    generator = torch.Generator().manual_seed(4)
    maps, style = (scale * torch.rand(1, 64, side, side, generator=generator).to(device) for _ in range(2))

    def measure(dtype):
        features = maps.to(dtype).requires_grad_()
        target = moments_prepare(moments_statistics(style.to(dtype)))
        loss = moments_distance(moments_statistics(features), target)
        return loss.detach(), torch.autograd.grad(loss.sum(), features)[0]

    (loss, gradient), (exact, downhill) = measure(torch.float32), measure(torch.float64)
    assert gradient.isfinite().all()
    near = 2e-3 if device.type == "cpu" else 0.3  # Newton-Schulz iterations do not reach the smallest eigenvalues
    torch.testing.assert_close(loss.double(), exact, rtol=near, atol=0)
    assert (gradient - downhill).norm() < 10 * near * downhill.norm()
