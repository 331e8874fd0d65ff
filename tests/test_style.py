"""What all style losses have in common: mixes of styles, batches, relative units."""

import pytest
import torch

from nst.losses.style import STYLE_LOSSES, average, style_loss, style_target

WEIGHTS = (0.5, 0.3, 0.2)


@pytest.fixture
def features(draw):
    return draw(1, 4, 6, 7, seed=6).sigmoid()


@pytest.fixture
def styles(draw):
    return [draw(1, 4, 5, 5, seed=7 + n).sigmoid() * scale for n, scale in enumerate((0.5, 2.0, 1.0))]


@pytest.fixture
def gradient(features, styles):
    """The gradient of a mix of the three styles, a function of its loss, mix and weights."""

    def of(name, mix, weights=WEIGHTS):
        loss = STYLE_LOSSES[name]
        target = style_target(loss, [([loss.statistics(style) for style in styles], weights, mix)])
        free = features.clone().requires_grad_()
        return torch.autograd.grad(style_loss(loss, free, target).sum(), free)[0]

    return of


def test_a_sum_of_two_styles_asks_for_the_gram_matrix_of_both(styles, rounding):
    """The Gram matrix of one map beside another, per position of one of them, is G1 + G2, written out."""
    gram = STYLE_LOSSES["gram"]
    target = style_target(gram, [([gram.statistics(style) for style in styles[:2]], (1.0, 1.0), "sum")])
    first, second = (style[0].flatten(1) for style in styles[:2])
    both = torch.cat([first, second], 1)
    added = both @ both.T / first.shape[1]
    torch.testing.assert_close(target.targets[0][0][0], added, rtol=max(1e-12, rounding), atol=0.0)
    assert target.energy.item() == pytest.approx(added.square().sum().item(), rel=max(1e-12, rounding))
    nothing = style_loss(gram, torch.zeros_like(styles[0]), target)
    assert nothing.item() == pytest.approx(1.0, rel=max(1e-12, rounding))


def test_the_weights_of_a_sum_multiply(features, styles, rounding):
    """Features sqrt(3) times as large have the Gram matrix of a style three times, and none of a third of it."""
    gram = STYLE_LOSSES["gram"]
    statistics = gram.statistics(features)
    thrice = style_target(gram, [([statistics, statistics], (1.0, 2.0), "sum")])
    assert style_loss(gram, 3.0**0.5 * features, thrice).item() == pytest.approx(0.0, abs=max(1e-20, rounding))
    assert style_loss(gram, features, thrice).item() == pytest.approx((2 / 3) ** 2, rel=max(1e-10, rounding))
    averaged = style_target(gram, [([statistics, statistics], (1.0, 2.0), "targets")])
    assert style_loss(gram, features, averaged).item() == pytest.approx(0.0, abs=max(1e-20, rounding))


@pytest.mark.parametrize("name", sorted(STYLE_LOSSES.keys() - {"gram"}))
def test_what_is_no_gram_matrix_is_not_added(name, styles):
    loss = STYLE_LOSSES[name]
    statistics = [loss.statistics(style) for style in styles[:2]]
    with pytest.raises(AssertionError, match="refuses other sums"):
        style_target(loss, [(statistics, (1.0, 1.0), "sum")])


def test_added_moments_may_be_those_of_no_distribution():
    """Two features that never vary have the means 1 and the second moments 1; added, their variance is 2 - 2^2."""
    means, seconds = STYLE_LOSSES["moments"].statistics(torch.ones(1, 1, 2, 2, dtype=torch.float64))[:2]
    assert (2 * seconds - (2 * means).reshape_as(seconds) ** 2).item() == pytest.approx(-2.0)


def single(loss, style):
    return style_target(loss, [([loss.statistics(style)], (1.0,), "targets")])


@pytest.mark.parametrize("name", ["gram", "sliced"])
def test_gram_mix_and_loss_mix_have_the_same_gradient(name, gradient, rounding):
    near = {"rtol": max(1e-10, rounding), "atol": max(1e-14, 0.01 * rounding)}
    torch.testing.assert_close(gradient(name, "targets"), gradient(name, "losses"), **near)


def test_moments_tell_the_mixes_apart(gradient):
    one, other = gradient("moments", "targets"), gradient("moments", "losses")
    assert (one - other).norm() > 0.05 * one.norm()


@pytest.mark.parametrize("name", STYLE_LOSSES)
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_only_the_proportions_of_style_weights_count(name, mix, gradient, rounding):
    tenfold = tuple(10 * weight for weight in WEIGHTS)
    near = {"rtol": max(1e-7, 10 * rounding), "atol": max(1e-7, 0.1 * rounding)}
    torch.testing.assert_close(gradient(name, mix), gradient(name, mix, tenfold), **near)


@pytest.mark.parametrize("name", STYLE_LOSSES)
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_a_style_mixed_with_itself_is_that_style(name, mix, features, styles, rounding):
    loss = STYLE_LOSSES[name]
    statistics = loss.statistics(styles[0])
    twice = style_target(loss, [([statistics, statistics], (0.9, 0.1), mix)])
    once = style_loss(loss, features, single(loss, styles[0]))
    torch.testing.assert_close(style_loss(loss, features, twice), once, rtol=max(1e-7, rounding), atol=1e-7)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_cells_with_different_numbers_of_styles_share_a_batch(name, features, styles):
    loss = STYLE_LOSSES[name]
    statistics = [loss.statistics(style) for style in styles]
    cells = [
        (statistics, WEIGHTS, "losses"),
        (statistics[:1], (1.0,), "losses"),
        (statistics[:2], (1.0, 1.0), "targets"),
    ]
    together = style_loss(loss, features.repeat(3, 1, 1, 1), style_target(loss, cells))
    alone = torch.cat([style_loss(loss, features, style_target(loss, [cell])) for cell in cells])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", ["sliced", "histogram"])
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_styles_of_several_sizes_are_mixed_and_share_a_batch(name, mix, features, draw, rounding):
    """Each is first fitted to the positions of the pictures, which changes no loss."""
    loss = STYLE_LOSSES[name]
    styles = [draw(1, 4, side, side + 1, seed=20 + side).sigmoid() for side in (5, 9)]
    fitted = [loss.fit(loss.statistics(style), 42) for style in styles]
    cells = [(fitted, (1.0, 3.0), mix), (fitted[:1], (1.0,), mix), (fitted[1:], (1.0,), mix)]
    free = features.repeat(3, 1, 1, 1).requires_grad_()
    together = style_loss(loss, free, style_target(loss, cells))
    alone = torch.cat([style_loss(loss, features, style_target(loss, [cell])) for cell in cells])
    torch.testing.assert_close(together, alone)
    raw = torch.cat([style_loss(loss, features, single(loss, style)) for style in styles])  # nothing fitted before
    torch.testing.assert_close(together[1:], raw, rtol=max(1e-7, rounding), atol=0)
    if name == "sliced":  # the pull of a mix is the mean of the pulls of its styles
        (pulls,) = torch.autograd.grad((together * style_target(loss, cells).energy).sum(), free)
        torch.testing.assert_close(pulls[0], 0.25 * pulls[1] + 0.75 * pulls[2])


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_cells_of_one_style_share_its_target(name, styles):
    """A batch of one style holds it once, whatever the number of its cells: quantile functions are large."""
    loss = STYLE_LOSSES[name]
    statistics = loss.statistics(styles[0])
    target = style_target(loss, [([statistics], (1.0,), "targets")] * 3)
    if name == "sliced":
        assert target.targets[0][0].data_ptr() == statistics[0].data_ptr()
    assert target.energy.shape == (3,)
    torch.testing.assert_close(
        style_loss(loss, styles[0].expand(3, -1, -1, -1), target), torch.zeros_like(target.energy)
    )


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_relative_losses_are_zero_at_the_style_and_one_at_nothing(name, styles, rounding):
    loss, style = STYLE_LOSSES[name], styles[0]
    target = single(loss, style)
    nothing = 3.0 if name == "sliced" else 1.0
    assert style_loss(loss, style, target).item() == pytest.approx(0.0, abs=max(1e-6, rounding))
    # Of nothing, `moments` sees a little: the ridge.
    near = 0.03 if name == "moments" else 0.01
    assert style_loss(loss, torch.zeros_like(style), target).item() == pytest.approx(nothing, rel=near)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_relative_losses_do_not_change_with_the_scale_of_the_features(name, features, styles, rounding):
    loss = STYLE_LOSSES[name]
    plain = style_loss(loss, features, single(loss, styles[0]))
    scaled = style_loss(loss, 58.0 * features, single(loss, 58.0 * styles[0]))
    # The ridge of the covariances is crowsonkb's, in absolute units; the variances of these features are about 0.05.
    near = 0.02 if name == "moments" else max(1e-6, rounding)
    torch.testing.assert_close(scaled, plain, rtol=near, atol=0)


def test_average_of_raw_moments_is_the_moment_of_the_joined_samples(styles):
    first, second = (STYLE_LOSSES["moments"].statistics(style) for style in styles[:2])
    joined = STYLE_LOSSES["moments"].statistics(torch.cat(styles[:2], 2))
    for ours, expected in zip(average([first, second], [1.0, 1.0]), joined, strict=True):
        torch.testing.assert_close(ours, expected)
