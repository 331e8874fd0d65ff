"""Sliced Wasserstein distance: rotations, closed forms, and what Gram matrices and moments cannot tell apart."""

import pytest
import torch
from cells import CONTENT, LAYERS, STYLES, losses_of, picture, request, run, small, together_and_alone, workspace

from nst.config import GatysConfig
from nst.losses.sliced import directions
from nst.losses.style import STYLE_LOSSES, style_loss, style_target
from nst.methods import stylize_batch

LOSS = STYLE_LOSSES["sliced"]


def distance(features, style, name="sliced"):
    loss = STYLE_LOSSES[name]
    return style_loss(loss, features, style_target(loss, [([loss.statistics(style)], (1.0,), "targets")])).item()


@pytest.mark.parametrize("channels", [1, 3, 64])
def test_directions_are_a_rotation_and_always_the_same(channels):
    ours = directions(channels)
    torch.testing.assert_close(ours @ ours.T, torch.eye(channels, dtype=torch.float64))
    directions.cache_clear()
    assert torch.equal(directions(channels), ours)


def test_a_shift_of_all_features_costs_its_squared_length_over_the_channels(draw, rounding):
    style, shift = draw(1, 6, 32, 32, seed=1), draw(1, 6, 1, 1, seed=2)
    target = LOSS.prepare(LOSS.statistics(style))
    ours = LOSS.distance((style + shift,), target)
    assert ours.item() == pytest.approx(shift.square().sum().item() / 6, rel=max(1e-9, rounding))


def test_a_mirrored_distribution_is_told_apart_though_its_moments_are_equal(draw, rounding):
    skewed = draw(1, 4, 64, 64, seed=3).exp()
    skewed -= skewed.mean((2, 3), keepdim=True)
    mirrored = -skewed
    assert distance(mirrored, skewed, "gram") == pytest.approx(0.0, abs=max(1e-9, rounding))
    assert distance(mirrored, skewed, "moments") == pytest.approx(0.0, abs=1e-3)
    assert distance(mirrored, skewed) > 0.1


def test_where_features_lie_makes_no_difference(draw, rounding):
    features, style = draw(1, 5, 8, 8, seed=4), draw(1, 5, 9, 9, seed=5)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(14))
    shuffled = features.flatten(2)[:, :, order].view_as(features)
    assert distance(shuffled, style) == pytest.approx(distance(features, style), rel=max(1e-12, rounding))


def test_a_repeated_picture_costs_what_the_picture_costs(draw, rounding):
    features, style = draw(1, 5, 8, 8, seed=6), draw(1, 5, 16, 16, seed=7)
    repeated = distance(features.repeat(1, 1, 3, 2), style)
    assert repeated == pytest.approx(distance(features, style), rel=max(1e-9, rounding))


def test_descent_by_the_loss_gives_the_distribution(draw):
    style = draw(1, 2, 16, 16, seed=8).exp()
    target = LOSS.prepare(LOSS.statistics(style))
    points = draw(1, 2, 16, 16, seed=9).requires_grad_()
    for _ in range(60):
        (gradient,) = torch.autograd.grad(LOSS.distance((points,), target).sum(), points)
        points = (points - 0.5 * 256 * gradient).detach().requires_grad_()
    assert distance(points.detach(), style) < 1e-4 * distance(torch.zeros_like(style), style)


@pytest.mark.parametrize("name", ["sliced", "histogram"])
def test_a_cell_whose_content_is_its_style_has_no_style_loss(name):
    (result,) = run(request(small(GatysConfig, **LAYERS, style_representation=name, steps=1), styles=[CONTENT]))
    assert result.trace[0].parts["style"] < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sliced", "histogram"])
def test_a_batch_of_styles_of_several_sizes_equals_its_cells_alone(name):
    config = small(GatysConfig, **LAYERS, style_representation=name, steps=4, precision="float64")
    wide = picture(9, 20, 38)
    briefs = [(STYLES[:1], ()), ([wide], ()), ([wide, STYLES[0]], (1.0, 2.0))]
    for together, alone in together_and_alone(*(request(config, styles=styles, weights=w) for styles, w in briefs)):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sliced", "histogram"])
def test_what_is_kept_of_a_style_for_pictures_of_one_size_is_not_used_for_another(name):
    config = small(GatysConfig, **LAYERS, style_representation=name, steps=3, precision="float64")
    wide, tall = (request(config, content) for content in (CONTENT, picture(3, 40, 22)))
    kept = workspace()
    stylize_batch([wide], kept)
    (after,), (fresh,) = stylize_batch([tall], kept), run(tall)
    assert losses_of(after) == losses_of(fresh)
