"""Quantile functions: their means are exact, and distances are those of scipy and of brute force."""

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from nst.losses import quantiles
from nst.losses.quantiles import over_ranks, quantile_distance, quantile_function, step_means


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


@pytest.mark.parametrize(("positions", "others"), [(60, 60), (60, 30), (30, 60), (61, 60), (37, 101), (1, 5), (5, 1)])
def test_distance_on_a_line_is_that_of_all_pairs_of_ranks(positions, others, draw, axis, rounding):
    features, style = draw(1, 1, positions, seed=1), 2.0 * draw(1, 1, others, seed=2).abs()
    target = quantile_function(style, axis)
    expected = by_repetition(array(features).ravel(), array(style).ravel())
    near = pytest.approx(expected, rel=max(1e-9, rounding))
    assert quantile_distance(features, target, axis).item() == near
    means, within = over_ranks(target, positions)  # the same in two parts, of which the first needs no style any more
    assert (quantile_distance(features, means, axis) + within).item() == near


def test_a_style_costs_nothing_to_itself_and_its_shift_costs_the_square_of_scipys_length(draw, axis, rounding):
    style = draw(1, 1, 5000, seed=3) ** 3  # long tails
    target = quantile_function(style, axis)
    assert quantile_distance(style, target, axis).item() <= rounding * style.square().mean().item()
    shifted = quantile_distance(style + 10.0, target, axis).item()
    line = wasserstein_distance(array(style).ravel() + 10.0, array(style).ravel())
    assert shifted == pytest.approx(line**2, rel=max(1e-9, rounding))


def test_a_style_is_kept_whole_up_to_a_bound_and_nearly_so_beyond(monkeypatch, draw, device, dtype):
    style, axes = draw(1, 4, 3000, seed=5) ** 3, torch.eye(4, device=device, dtype=dtype)
    whole = quantile_function(style, axes)
    torch.testing.assert_close(whole, style.sort(-1).values)
    monkeypatch.setattr(quantiles, "MOST_VALUES", 4 * 1000)
    kept = quantile_function(style, axes)
    assert kept.shape == (1, 4, 1000)
    expected = np.sort(array(style)).reshape(1, 4, 1000, 3).mean(3)
    np.testing.assert_allclose(array(kept), expected, rtol=1e-5, atol=1e-6)
    spread = quantile_distance(style, kept, axes).item()
    variances = np.sort(array(style)).reshape(1, 4, 1000, 3).var(3)
    assert spread == pytest.approx(variances.mean(), rel=1e-3)


def test_the_gradient_is_that_of_the_loss(draw):
    free = draw(2, 3, 11, seed=7).double().requires_grad_()
    directions = draw(4, 3, seed=8).double()
    target = quantile_function(draw(2, 3, 50, seed=9).double(), directions)
    assert torch.autograd.gradcheck(lambda x: quantile_distance(x, target, directions), (free,))


def test_chunks_and_the_rest_of_the_batch_make_no_difference(monkeypatch, draw):
    features, directions = draw(3, 5, 40, seed=10), draw(7, 5, seed=11)
    target = quantile_function(draw(3, 5, 60, seed=12), directions)
    together = quantile_distance(features, target, directions)
    monkeypatch.setattr(quantiles, "CHUNK", 80)
    alone = torch.cat([quantile_distance(features[n : n + 1], target[n : n + 1], directions) for n in range(3)])
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(
        quantile_function(features, directions)[1:2], quantile_function(features[1:2], directions)
    )


def test_equal_values_take_ranks_in_their_order(device, dtype, axis):
    features = torch.zeros(1, 1, 4, device=device, dtype=dtype, requires_grad=True)
    target = torch.arange(4.0, device=device, dtype=dtype)[None, None]
    (gradient,) = torch.autograd.grad(quantile_distance(features, target, axis).sum(), features)
    assert gradient.flatten().tolist() == [0.0, -0.5, -1.0, -1.5]
