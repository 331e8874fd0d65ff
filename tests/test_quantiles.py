"""Quantile functions: their means are exact, and distances are those of scipy and of brute force."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from nst.losses import quantiles
from nst.losses.quantiles import QUANTILES, quantile_distance, quantile_means, step_means


def array(tensor):
    return tensor.double().cpu().numpy()


def by_repetition(first, other):
    """Squared Wasserstein-2 distance of samples on a line: each repeated to the product of both sizes."""
    left, right = np.sort(np.repeat(first, len(other))), np.sort(np.repeat(other, len(first)))
    return ((left - right) ** 2).mean()


@pytest.fixture
def axis(device, dtype):
    """One direction, along the one channel."""
    return torch.ones(1, 1, device=device, dtype=dtype)


@pytest.mark.parametrize(("length", "count"), [(4, 4), (6, 3), (3, 6), (5, 7), (7, 5), (1, 9), (9, 1)])
def test_means_of_a_step_function_are_those_of_its_repetition(length, count, draw):
    steps = draw(2, 3, length)
    expected = steps.repeat_interleave(count, 2).view(2, 3, count, length).mean(3)
    torch.testing.assert_close(step_means(steps, count), expected)


def test_means_hold_the_mean_even_in_float32(device):
    steps = 1e3 + torch.rand(1, 1, 100_003, generator=torch.Generator().manual_seed(12)).to(device)
    means = step_means(steps, 1024)
    assert means.dtype == torch.float32
    assert means.double().mean().item() == pytest.approx(steps.double().mean().item(), rel=1e-7)
    assert (means.max() - means.min()) < 0.25


@pytest.mark.parametrize("positions", [QUANTILES, QUANTILES // 2, QUANTILES + 1, 3 * QUANTILES, 37])
def test_distance_on_a_line_is_that_of_all_pairs_of_ranks(positions, draw, axis, rounding):
    features, target = draw(1, 1, positions, seed=1), 2.0 * draw(1, 1, QUANTILES, seed=2).abs()
    ours = quantile_distance(features, quantile_means(target, axis), axis)
    expected = by_repetition(array(features).ravel(), array(target).ravel())
    assert ours.item() == pytest.approx(expected, rel=max(1e-9, rounding))


def test_a_shift_costs_its_square_as_scipys_distance_is_its_length(draw, axis):
    features = draw(1, 1, 500, seed=3)
    target = draw(1, 1, 64, seed=4).repeat(1, 1, 16)
    shifted = quantile_distance(features, quantile_means(target + 10.0, axis), axis).item()
    line = wasserstein_distance(array(features).ravel(), array(target).ravel() + 10.0)
    assert shifted == pytest.approx(line**2, rel=0.02)  # nearly a shift: the two are of one distribution


@pytest.mark.slow
def test_a_style_is_kept_at_a_bounded_size_and_well(draw, device, dtype):
    style, picture = draw(1, 4, 20_000, seed=5) ** 3, draw(1, 4, 15_000, seed=6)
    axes = torch.eye(4, device=device, dtype=dtype)
    kept = quantile_means(style, axes)
    assert kept.shape == (1, 4, QUANTILES)
    ours = quantile_distance(picture, kept, axes).item()
    pairs = zip(array(picture)[0, :, ::10], np.sort(array(style)[0])[:, 5::10], strict=True)
    assert ours == pytest.approx(np.mean([by_repetition(*pair) for pair in pairs]), rel=0.05)


def test_the_gradient_is_that_of_the_loss(draw):
    free = draw(2, 3, 11, seed=7).double().requires_grad_()
    directions = draw(4, 3, seed=8).double()
    target = quantile_means(draw(2, 3, 50, seed=9).double(), directions)
    assert torch.autograd.gradcheck(lambda x: quantile_distance(x, target, directions), (free,))


def test_chunks_and_the_rest_of_the_batch_make_no_difference(monkeypatch, draw):
    features, directions = draw(3, 5, 40, seed=10), draw(7, 5, seed=11)
    target = quantile_means(draw(3, 5, 60, seed=12), directions)
    together = quantile_distance(features, target, directions)
    monkeypatch.setattr(quantiles, "CHUNK", 80)
    alone = torch.cat([quantile_distance(features[n : n + 1], target[n : n + 1], directions) for n in range(3)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(quantile_means(features, directions)[1:2], quantile_means(features[1:2], directions))


def test_equal_values_take_ranks_in_their_order(device, dtype, axis):
    features = torch.zeros(1, 1, 4, device=device, dtype=dtype, requires_grad=True)
    target = torch.arange(4.0, device=device, dtype=dtype)[None, None]
    (gradient,) = torch.autograd.grad(quantile_distance(features, target, axis).sum(), features)
    assert gradient.flatten().tolist() == [0.0, -0.5, -1.0, -1.5]
