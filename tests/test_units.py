"""The factors of `nst.losses.units` against each implementation's own formula, written out."""

import pytest
import torch

from nst.losses.content import content_distance, content_energy
from nst.losses.style import STYLE_LOSSES, style_loss, style_target
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import content_factor, style_factor, tv_factor

C, M = 4, 30
"""Channels and positions."""


@pytest.fixture
def maps(draw):
    """The picture's features, the content's or the style's."""
    return [draw(1, C, 5, 6, seed=8 + n).sigmoid() for n in range(2)]


@pytest.fixture
def picture(draw):
    return draw(1, 3, 7, 8, seed=10).sigmoid()


def raw_gram(features):
    return features[0].flatten(1) @ features[0].flatten(1).T


CONTENT = {
    "paper": lambda f, p: 0.5 * ((f - p) ** 2).sum(),
    "gatys": lambda f, p: torch.mean((f - p) ** 2),
    "jcjohnson": torch.nn.functional.mse_loss,
    "pytorch": torch.nn.functional.mse_loss,
    "crowsonkb": lambda f, p: torch.mean((f - p) ** 2),
}

STYLE = {
    "paper": lambda f, a: ((raw_gram(f) - raw_gram(a)) ** 2).sum() / (4 * C**2 * M**2),
    "gatys": lambda f, a: ((raw_gram(f) / M - raw_gram(a) / M) ** 2).mean() / C**2,
    "jcjohnson": lambda f, a: torch.mean((raw_gram(f) / (C * M) - raw_gram(a) / (C * M)) ** 2),
    "pytorch": lambda f, a: torch.nn.functional.mse_loss(raw_gram(f) / (C * M), raw_gram(a) / (C * M)),
    "crowsonkb": lambda f, a: torch.mean((raw_gram(f) / M - raw_gram(a) / M) ** 2),
}


def single(loss, style):
    return style_target(loss, [([loss.statistics(style)], (1.0,), "targets")])


@pytest.mark.parametrize("units", CONTENT)
def test_content_in_each_authors_units(units, maps, rounding):
    energy = content_energy(maps[1])
    ours = content_distance(*maps) / energy * content_factor(units, energy, C, M)
    assert ours.item() == pytest.approx(CONTENT[units](*maps).item(), rel=rounding)


@pytest.mark.parametrize("units", STYLE)
def test_gram_style_in_each_authors_units(units, maps, rounding):
    loss = STYLE_LOSSES["gram"]
    target = single(loss, maps[1])
    ours = style_loss(loss, maps[0], target) * style_factor(units, "gram", target.energy, C)
    assert ours.item() == pytest.approx(STYLE[units](*maps).item(), rel=rounding)


def test_moments_in_crowsonkbs_units_are_means_over_channels(maps):
    loss = STYLE_LOSSES["moments"]
    target = single(loss, maps[1])
    ours = style_loss(loss, maps[0], target) * style_factor("crowsonkb", "moments", target.energy, C)
    expected = loss.distance(loss.statistics(maps[0]), target.targets[0]) / C
    torch.testing.assert_close(ours, expected)


def test_sliced_in_absolute_units_is_a_mean_of_squared_differences(device, dtype, rounding):
    loss = STYLE_LOSSES["sliced"]
    still = torch.ones(1, C, 4, 8, device=device, dtype=dtype)
    target = style_target(loss, [([loss.statistics(0.0 * still)], (1.0,), "targets")], 0.5)
    for units in ("paper", "gatys", "jcjohnson", "pytorch", "crowsonkb"):
        ours = style_loss(loss, 3.0 * still, target) * style_factor(units, "mean", target.energy, C)
        assert ours.item() == pytest.approx(
            9.0, rel=max(1e-6, rounding)
        )  # every feature is 3 away in every channel, in any rotation


def test_half_of_a_histogram_loss_is_gram_in_any_units(maps):
    histogram, gram = STYLE_LOSSES["histogram"], STYLE_LOSSES["gram"]
    torch.testing.assert_close(single(histogram, maps[1]).energy, single(gram, maps[1]).energy)
    assert histogram.unit == gram.unit


def test_leongatys_and_jcjohnson_share_their_style_unit():
    assert style_factor("gatys", "gram", 3.0, 64) == style_factor("jcjohnson", "gram", 3.0, 64)


def test_tv_in_each_authors_units(picture):
    pixels = 255.0 * picture
    down, right = pixels[:, :, 1:] - pixels[:, :, :-1], pixels[..., 1:] - pixels[..., :-1]
    squares, lengths = (down**2).sum() + (right**2).sum(), down.abs().sum() + right.abs().sum()
    values = picture.numel()
    squared, absolute = (TOTAL_VARIATIONS[name](picture) for name in ("squared", "absolute"))
    torch.testing.assert_close(squared[0] * tv_factor("jcjohnson", "squared", values), 0.5 * squares)
    torch.testing.assert_close(squared[0] * tv_factor("gatys", "squared", values), squares)
    torch.testing.assert_close(absolute[0] * tv_factor("pytorch", "absolute", values), lengths)
    nine = torch.nn.functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    inner, outer, first, last = slice(1, -1), slice(2, None), slice(None, -1), slice(1, None)
    expected = 2 * (
        ((nine[..., inner, outer] - nine[..., inner, inner]) ** 2).mean() / 3
        + ((nine[..., outer, inner] - nine[..., inner, inner]) ** 2).mean() / 3
        + ((nine[..., last, last] - nine[..., first, first]) ** 2).mean() / 12
        + ((nine[..., last, first] - nine[..., first, last]) ** 2).mean() / 12
    )
    torch.testing.assert_close(
        TOTAL_VARIATIONS["nine_point"](picture)[0] * tv_factor("crowsonkb", "nine_point", values), expected
    )


def test_relative_units_are_the_losses_themselves():
    assert content_factor("relative", 5.0, C, M) == 1.0
    assert style_factor("relative", "gram", 5.0, C) == 1.0
    assert tv_factor("relative", "squared", 100) == 1.0


def test_jcjohnsons_tv_gradient_is_his_backward_pass(picture, rounding):
    """neural_style.lua adds (x - right) + (x - below) at each pixel and takes them off its neighbours, inside."""
    x = 255.0 * picture[..., :-1, :-1]
    expected = torch.zeros_like(x)
    right = x[..., :-1, :-1] - x[..., :-1, 1:]
    below = x[..., :-1, :-1] - x[..., 1:, :-1]
    expected[..., :-1, :-1] += right + below
    expected[..., :-1, 1:] -= right
    expected[..., 1:, :-1] -= below
    free = (x / 255.0).requires_grad_()
    ours = TOTAL_VARIATIONS["squared"](free) * tv_factor("jcjohnson", "squared", free.numel())
    (gradient,) = torch.autograd.grad(ours.sum(), free)
    inside = (..., slice(1, -2), slice(1, -2))  # he leaves out the last row and column
    torch.testing.assert_close(gradient[inside] / 255.0, expected[inside], rtol=1e-4, atol=max(1e-7, 100 * rounding))
