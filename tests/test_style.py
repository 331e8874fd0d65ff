import pytest
import torch

from nst.losses.style import STYLE_LOSSES, average, style_loss, style_target

GENERATOR = torch.Generator().manual_seed(6)
FEATURES = torch.rand(1, 4, 6, 7, generator=GENERATOR, dtype=torch.float64)
STYLES = [torch.rand(1, 4, 5, 5, generator=GENERATOR, dtype=torch.float64) * scale for scale in (0.5, 2.0, 1.0)]
WEIGHTS = (0.5, 0.3, 0.2)


def gradient(name, mix, weights=WEIGHTS):
    loss = STYLE_LOSSES[name]
    target = style_target(loss, [([loss.statistics(style) for style in STYLES], weights, mix)])
    features = FEATURES.clone().requires_grad_()
    return torch.autograd.grad(style_loss(loss, features, target).sum(), features)[0]


@pytest.mark.parametrize("name", ["gram", "sliced"])
def test_gram_mix_and_loss_mix_have_the_same_gradient(name):
    torch.testing.assert_close(gradient(name, "targets"), gradient(name, "losses"), rtol=1e-10, atol=1e-14)


def test_moments_tell_the_mixes_apart():
    one, other = gradient("moments", "targets"), gradient("moments", "losses")
    assert (one - other).norm() > 0.05 * one.norm()


@pytest.mark.parametrize("name", STYLE_LOSSES)
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_only_the_proportions_of_style_weights_count(name, mix):
    tenfold = tuple(10 * weight for weight in WEIGHTS)
    torch.testing.assert_close(gradient(name, mix), gradient(name, mix, tenfold))


@pytest.mark.parametrize("name", STYLE_LOSSES)
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_a_style_mixed_with_itself_is_that_style(name, mix):
    loss = STYLE_LOSSES[name]
    statistics = loss.statistics(STYLES[0])
    twice = style_target(loss, [([statistics, statistics], (0.9, 0.1), mix)])
    once = style_target(loss, [([statistics], (1.0,), "targets")])
    torch.testing.assert_close(style_loss(loss, FEATURES, twice), style_loss(loss, FEATURES, once))


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_cells_with_different_numbers_of_styles_share_a_batch(name):
    loss = STYLE_LOSSES[name]
    statistics = [loss.statistics(style) for style in STYLES]
    cells = [
        (statistics, WEIGHTS, "losses"),
        (statistics[:1], (1.0,), "losses"),
        (statistics[:2], (1.0, 1.0), "targets"),
    ]
    together = style_loss(loss, FEATURES.repeat(3, 1, 1, 1), style_target(loss, cells))
    alone = torch.cat([style_loss(loss, FEATURES, style_target(loss, [cell])) for cell in cells])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_relative_losses_are_zero_at_the_style_and_one_at_nothing(name):
    loss = STYLE_LOSSES[name]
    target = style_target(loss, [([loss.statistics(STYLES[0])], (1.0,), "targets")])
    nothing = 3.0 if name == "sliced" else 1.0
    rounding = 2e-4 if name in {"sliced", "histogram"} else 1e-6  # 25 positions do not divide the kept quantiles
    assert style_loss(loss, STYLES[0], target).item() == pytest.approx(0.0, abs=rounding)
    assert style_loss(loss, torch.zeros_like(STYLES[0]), target).item() == pytest.approx(nothing, rel=0.01)


@pytest.mark.parametrize("name", STYLE_LOSSES)
def test_relative_losses_do_not_change_with_the_scale_of_the_features(name):
    loss = STYLE_LOSSES[name]
    plain = style_loss(loss, FEATURES, style_target(loss, [([loss.statistics(STYLES[0])], (1.0,), "targets")]))
    target = style_target(loss, [([loss.statistics(58.0 * STYLES[0])], (1.0,), "targets")])
    torch.testing.assert_close(style_loss(loss, 58.0 * FEATURES, target), plain, rtol=1e-6, atol=0)


def test_average_of_raw_moments_is_the_moment_of_the_joined_samples():
    first, second = (STYLE_LOSSES["moments"].statistics(style) for style in STYLES[:2])
    joined = STYLE_LOSSES["moments"].statistics(torch.cat(STYLES[:2], 2))
    for ours, expected in zip(average([first, second], [1.0, 1.0]), joined, strict=True):
        torch.testing.assert_close(ours, expected)
