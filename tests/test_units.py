"""The factors of `nst.losses.units` against each implementation's own formula, written out."""

import pytest
import torch

from nst.losses.content import content_distance, content_energy
from nst.losses.style import STYLE_LOSSES, style_loss, style_target
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import content_factor, style_factor, tv_factor

GENERATOR = torch.Generator().manual_seed(8)
F = torch.rand(1, 4, 5, 6, generator=GENERATOR, dtype=torch.float64)
P = torch.rand(1, 4, 5, 6, generator=GENERATOR, dtype=torch.float64)
A = torch.rand(1, 4, 5, 6, generator=GENERATOR, dtype=torch.float64)
X = torch.rand(1, 3, 7, 8, generator=GENERATOR, dtype=torch.float64)
C, M = 4, 30


def raw_gram(features):
    return features[0].flatten(1) @ features[0].flatten(1).T


CONTENT = {
    "paper": lambda: 0.5 * ((F - P) ** 2).sum(),
    "gatys": lambda: torch.mean((F - P) ** 2),
    "jcjohnson": lambda: torch.nn.functional.mse_loss(F, P),
    "pytorch": lambda: torch.nn.functional.mse_loss(F, P),
    "crowsonkb": lambda: torch.mean((F - P) ** 2),
}

STYLE = {
    "paper": lambda: ((raw_gram(F) - raw_gram(A)) ** 2).sum() / (4 * C**2 * M**2),
    "gatys": lambda: ((raw_gram(F) / M - raw_gram(A) / M) ** 2).mean() / C**2,
    "jcjohnson": lambda: torch.mean((raw_gram(F) / (C * M) - raw_gram(A) / (C * M)) ** 2),
    "pytorch": lambda: torch.nn.functional.mse_loss(raw_gram(F) / (C * M), raw_gram(A) / (C * M)),
    "crowsonkb": lambda: torch.mean((raw_gram(F) / M - raw_gram(A) / M) ** 2),
}


@pytest.mark.parametrize("units", CONTENT)
def test_content_in_each_authors_units(units):
    energy = content_energy(P)
    ours = content_distance(F, P) / energy * content_factor(units, energy, C, M)
    assert ours.item() == pytest.approx(CONTENT[units]().item(), rel=1e-12)


@pytest.mark.parametrize("units", STYLE)
def test_gram_style_in_each_authors_units(units):
    loss = STYLE_LOSSES["gram"]
    target = style_target(loss, [([loss.statistics(A)], (1.0,), "targets")])
    ours = style_loss(loss, F, target) * style_factor(units, "gram", target.energy, C)
    assert ours.item() == pytest.approx(STYLE[units]().item(), rel=1e-12)


def test_moments_in_crowsonkbs_units_are_means_over_channels():
    loss = STYLE_LOSSES["moments"]
    target = style_target(loss, [([loss.statistics(A)], (1.0,), "targets")])
    ours = style_loss(loss, F, target) * style_factor("crowsonkb", "moments", target.energy, C)
    expected = loss.distance(loss.statistics(F), target.targets[0]) / C
    torch.testing.assert_close(ours, expected)


def test_sliced_in_absolute_units_is_a_mean_of_squared_differences():
    loss = STYLE_LOSSES["sliced"]
    still = torch.ones(1, C, 4, 8, dtype=torch.float64)
    target = style_target(loss, [([loss.statistics(0.0 * still)], (1.0,), "targets")], 0.5)
    for units in ("paper", "gatys", "jcjohnson", "pytorch", "crowsonkb"):
        ours = style_loss(loss, 3.0 * still, target) * style_factor(units, "mean", target.energy, C)
        assert ours.item() == pytest.approx(9.0)  # every feature is 3 away in every channel, in any rotation


def test_half_of_a_histogram_loss_is_gram_in_any_units():
    histogram, gram = STYLE_LOSSES["histogram"], STYLE_LOSSES["gram"]
    target, plain = (style_target(loss, [([loss.statistics(A)], (1.0,), "targets")]) for loss in (histogram, gram))
    torch.testing.assert_close(target.energy, plain.energy)
    assert STYLE_LOSSES["histogram"].unit == STYLE_LOSSES["gram"].unit


def test_leongatys_and_jcjohnson_share_their_style_unit():
    assert style_factor("gatys", "gram", 3.0, 64) == style_factor("jcjohnson", "gram", 3.0, 64)


def test_tv_in_each_authors_units():
    pixels = 255.0 * X
    down, right = pixels[:, :, 1:] - pixels[:, :, :-1], pixels[..., 1:] - pixels[..., :-1]
    squares, lengths = (down**2).sum() + (right**2).sum(), down.abs().sum() + right.abs().sum()
    values = X.numel()
    squared, absolute = TOTAL_VARIATIONS["squared"](X), TOTAL_VARIATIONS["absolute"](X)
    torch.testing.assert_close(squared[0] * tv_factor("jcjohnson", "squared", values), 0.5 * squares)
    torch.testing.assert_close(squared[0] * tv_factor("gatys", "squared", values), squares)
    torch.testing.assert_close(absolute[0] * tv_factor("pytorch", "absolute", values), lengths)
    nine = torch.nn.functional.pad(X, (1, 1, 1, 1), mode="replicate")
    inner, outer, first, last = slice(1, -1), slice(2, None), slice(None, -1), slice(1, None)
    expected = 2 * (
        ((nine[..., inner, outer] - nine[..., inner, inner]) ** 2).mean() / 3
        + ((nine[..., outer, inner] - nine[..., inner, inner]) ** 2).mean() / 3
        + ((nine[..., last, last] - nine[..., first, first]) ** 2).mean() / 12
        + ((nine[..., last, first] - nine[..., first, last]) ** 2).mean() / 12
    )
    torch.testing.assert_close(
        TOTAL_VARIATIONS["nine_point"](X)[0] * tv_factor("crowsonkb", "nine_point", values), expected
    )


def test_relative_units_are_the_losses_themselves():
    assert content_factor("relative", 5.0, C, M) == 1.0
    assert style_factor("relative", "gram", 5.0, C) == 1.0
    assert tv_factor("relative", "squared", 100) == 1.0


def test_jcjohnsons_tv_gradient_is_his_backward_pass():
    """neural_style.lua adds (x - right) + (x - below) at each pixel and takes them off its neighbours, inside."""
    x = (255.0 * X[..., :-1, :-1]).clone()
    expected = torch.zeros_like(x)
    right = x[..., :-1, :-1] - x[..., :-1, 1:]
    below = x[..., :-1, :-1] - x[..., 1:, :-1]
    expected[..., :-1, :-1] += right + below
    expected[..., :-1, 1:] -= right
    expected[..., 1:, :-1] -= below
    picture = (x / 255.0).requires_grad_()
    ours = TOTAL_VARIATIONS["squared"](picture) * tv_factor("jcjohnson", "squared", picture.numel())
    (gradient,) = torch.autograd.grad(ours.sum(), picture)
    inside = (..., slice(1, -2), slice(1, -2))  # he leaves out the last row and column
    torch.testing.assert_close(gradient[inside] / 255.0, expected[inside])
