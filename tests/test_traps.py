"""Faults found in other implementations, or between them, which must not come back here.

Each test names where the fault was read; the figures are in the factors and losses that it looks at.
"""

from functools import partial

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, STYLES, objective_of, request, run, small
from torch.utils._python_dispatch import TorchDispatchMode

from nst.config.gatys import GatysConfig
from nst.config.mrf import MrfConfig
from nst.losses.patches import cut_patches, nearest_patches
from nst.losses.style import STYLE_LOSSES, style_loss, style_target
from nst.losses.tv import TOTAL_VARIATIONS
from nst.losses.units import style_factor, tv_factor

GENERATOR = torch.Generator().manual_seed(17)
STYLE = STYLES[0]

settings = partial(small, GatysConfig, **LAYERS, steps=10, precision="float64")


def gradient(one, image):
    """Losses and gradient of a picture by the method's own objective."""
    return objective_of(one).with_gradient(image)


IMAGE = torch.rand(1, 3, 32, 40, generator=GENERATOR, dtype=torch.float64)


@pytest.mark.parametrize(
    "weight", ["content_weight", "style_weight", "tv_weight", "laplacian_weight", "photorealism_weight"]
)
def test_a_weight_multiplies_its_gradient_once(weight):
    """ProGamerGov/neural-style-pt ScaleGradients: strength^2 instead of strength times the gradient."""
    none = {"content_weight": 0.0, "style_weight": 0.0, "tv_weight": 0.0}
    (_, once), (_, thrice) = (gradient(request(settings(**{**none, weight: value})), IMAGE) for value in (1.0, 3.0))
    assert once.norm() > 0
    torch.testing.assert_close(thrice, 3.0 * once)


def test_the_gradient_is_that_of_the_reported_loss():
    """jcjohnson/neural-style's TV exists only in the gradient; chuanli11/CNNMRF reports 0 for everything."""
    one = request(
        settings(
            tv_weight=50.0,
            laplacian_weight=2.0,
            laplacian_pool=2,
            style_representation="sliced",
            photorealism_weight=3.0,
        )
    )
    losses, found = gradient(one, IMAGE)
    step = 1e-6 * found / found.norm()
    ahead, behind = (gradient(one, IMAGE + sign * step)[0].total for sign in (1, -1))
    assert ((ahead - behind) / 2).item() == pytest.approx((found * step).sum().item(), rel=1e-4)
    assert losses.total.item() == pytest.approx(sum(losses.parts.values()).item(), rel=1e-12)


def test_total_variation_counts_in_the_reported_loss_and_in_the_trace():
    """jcjohnson/neural-style neural_style.lua TVLoss: updateOutput returns its input, no loss."""
    (result,) = run(request(settings(tv_weight=7.0)))
    losses = result.losses
    expected = losses.terms["content"].loss + 100.0 * losses.terms["style"].loss + 7.0 * losses.terms["tv"].loss
    assert losses.loss == pytest.approx(expected, rel=1e-9)
    last = result.trace[-1]
    assert last.parts["tv"] > 0
    assert last.loss == pytest.approx(sum(last.parts.values()), rel=1e-12)


@pytest.mark.parametrize("name", TOTAL_VARIATIONS)
def test_total_variation_is_per_pixel(name):
    """ProGamerGov/neural-style-pt's sum grows with the picture: the same 1e-3 means another thing at every size."""
    stripes = ((torch.arange(64)[:, None] + 2 * torch.arange(64)) % 8 / 8.0).double().expand(1, 3, 64, 64)
    small, large = (TOTAL_VARIATIONS[name](image).item() for image in (stripes, stripes.repeat(1, 1, 4, 4)))
    assert large == pytest.approx(small, rel=0.03)  # but for the border


def test_absolute_and_squared_total_variation_have_different_units():
    """ProGamerGov/neural-style-pt's 1e-3 is of absolute differences, jcjohnson/neural-style's of squared ones."""
    assert tv_factor("jcjohnson", "squared", 300) == 0.5 * 255**2 * 300
    assert tv_factor("jcjohnson", "absolute", 300) == 255 * 300


@pytest.mark.slow
@pytest.mark.parametrize("representation", STYLE_LOSSES)
@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_the_strength_of_a_mix_does_not_depend_on_its_number_of_styles(representation, mix):
    """cysmith/neural-style-tf divides by the number of styles once more, so that style fades with every style added."""
    layers = {"style_layers": ["relu1_1"], "style_representation": representation}
    alone = gradient(request(settings(**layers)), IMAGE)
    many = gradient(request(settings(**layers), CONTENT, [STYLE] * 4, (3.0, 1.0, 1.0, 1.0), mix=mix), IMAGE)
    torch.testing.assert_close(many[0].part("style"), alone[0].part("style"))
    torch.testing.assert_close(many[1], alone[1])


def test_the_style_weight_changes_the_result_and_the_way_it_should():
    """Several feed-forward trainers read a style weight that they never multiply with."""
    weak, strong = run(*(request(settings(style_weight=weight)) for weight in (1.0, 1000.0)))
    assert not np.array_equal(weak.image, strong.image)
    assert strong.losses.terms["style"].loss < 0.5 * weak.losses.terms["style"].loss
    assert strong.losses.terms["content"].loss > weak.losses.terms["content"].loss


def test_layers_add_up_by_their_weights_alone():
    """cysmith/neural-style-tf weights each layer by 0.2 and divides by the number of layers once more."""

    def style(**layers):
        return gradient(request(settings(style_layers=layers)), IMAGE)[0].part("style")

    first, second = style(relu1_1=1.0), style(relu2_1=1.0)
    torch.testing.assert_close(style(relu1_1=0.25, relu2_1=3.0), 0.25 * first + 3.0 * second)


@pytest.mark.parametrize("channels", [64, 512])
def test_leongatys_layer_weights_are_jcjohnsons_gram_with_weight_1000(channels):
    """1e3 / C^2 of F F^T / (H W) is 1e3 of F F^T / (C H W): the two repositories' style weights differ by ten."""
    features, style = (torch.rand(channels, 30, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
    leongatys = 1e3 / channels**2 * (features @ features.T / 30 - style @ style.T / 30).square().mean()
    by_all = 30 * channels
    jcjohnson = 1e3 * (features @ features.T / by_all - style @ style.T / by_all).square().mean()
    torch.testing.assert_close(leongatys, jcjohnson)
    gram = STYLE_LOSSES["gram"]
    target = style_target(gram, [([gram.statistics(style.view(1, channels, 5, 6))], (1.0,), "targets")])
    relative = style_loss(gram, features.view(1, channels, 5, 6), target)
    for units in ("gatys", "jcjohnson"):
        ours = 1e3 * relative * style_factor(units, "gram", target.energy, channels)
        torch.testing.assert_close(ours[0], leongatys)


def test_covariances_are_not_averaged():
    """crowsonkb mixes raw second moments: averaged covariances forget that the means differ."""
    moments = STYLE_LOSSES["moments"]
    dark, bright = torch.zeros(1, 2, 6, 6).double(), torch.ones(1, 2, 6, 6).double()
    target = style_target(moments, [([moments.statistics(one) for one in (dark, bright)], (1.0, 1.0), "targets")])
    covariance = target.targets[0][1][0]
    torch.testing.assert_close(covariance, torch.full((2, 2), 0.25).double(), rtol=1e-3, atol=1e-3)


# ---- patches ------------------------------------------------------------------------------------------------------
def test_patches_are_matched_anew_at_every_step():
    """Ports of Li & Wand match once per scale (issues 4 of machrisaa/stylenet and of zhaw/neural_style)."""
    one = request(small(MrfConfig, **LAYERS, pyramid={"levels": 1}, precision="float64", tv_weight=0.0))
    other = IMAGE.flip(3)
    used, fresh = (objective_of(one) for _ in range(2))
    used(IMAGE)
    assert used(other).part("style").item() == pytest.approx(fresh(other).part("style").item(), rel=1e-12)


def test_the_response_of_all_style_patches_never_exists_at_once():
    """At 384 px with nine copies of the style it has 703 MB (chuanli11/CNNMRF cuts it into 256 filters by 16 rows)."""

    class Largest(TorchDispatchMode):
        values = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            sizes = [one.numel() for one in (out if isinstance(out, tuple | list) else [out]) if torch.is_tensor(one)]
            self.values = max([self.values, *sizes])
            return out

    maps = [torch.rand(1, 5, 42, 42, generator=GENERATOR) for _ in range(3)]
    patches_DN = cut_patches(torch.rand(1, 5, 32, 32, generator=GENERATOR), 3, 1)[0]
    with Largest() as largest:
        nearest_patches(patches_DN, maps, 3, 1, chunk=80)
    assert largest.values == 80 * patches_DN.shape[1]
    assert largest.values < 3 * 40 * 40 * patches_DN.shape[1] / 50
