"""Style by regions: Gram matrices of regions in closed form, one weight for regions of every size, no leak."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import (
    CONTENT,
    LAYERS,
    blocks,
    farthest,
    picture,
    request,
    run,
    seen_by_backbones,
    small,
    together_and_alone,
    workspace,
)

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.gatys import GatysConfig
from nst.errors import InputError
from nst.losses.guided import GuidedStyle, Region, guide
from nst.losses.style import STYLE_LOSSES, style_target
from nst.methods import stylize_batch
from nst.ops import gram_matrix
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels, plain_labels, read_labels

GRAM = STYLE_LOSSES["gram"]
RED, BLUE = "#ff0000", "#0000ff"


def target(gram_CC):
    return style_target(GRAM, [([(gram_CC[None],)], [1.0], "targets")])


@pytest.fixture
def style(draw):
    """A function of a seed: the target of a style of three channels."""
    return lambda seed, channels=3: target(gram_matrix(draw(1, channels, 4, 4, seed=seed))[0])


@pytest.fixture
def shares(draw):
    """A function of a number of regions: how much of each position of a grid of 4 x 5 belongs to each."""
    return lambda count: torch.softmax(draw(count, 4, 5, seed=1), 0)


def test_the_gram_matrix_of_a_region_is_that_of_the_region_cut_out(draw, halves):
    features = draw(2, 5, 6, 8)
    left, right = halves(6, 8, 3)
    torch.testing.assert_close(gram_matrix(guide(features, left)), gram_matrix(features[..., :3]))
    torch.testing.assert_close(gram_matrix(guide(features, right)), gram_matrix(features[..., 3:]))


def test_gram_matrices_of_soft_regions_add_up_to_that_of_the_picture(draw, shares):
    features = draw(1, 5, 4, 5)
    parts = sum(part.mean() * gram_matrix(guide(features, part)) for part in shares(3))
    torch.testing.assert_close(parts, gram_matrix(features))


def test_the_loss_of_two_regions_in_closed_form(halves, device, dtype):
    """Features (3, 0) on one column of four and (0, 2) on the others; targets diag(1, 0) and diag(0, 1)."""
    left, right = halves(4, 4, 1)
    features = torch.stack([3.0 * left, 2.0 * right])[None]
    wanted = torch.diag_embed(torch.eye(2, device=device, dtype=dtype))
    loss = GuidedStyle([Region(left, target(wanted[0])), Region(right, target(wanted[1]))])
    assert loss(features).item() == pytest.approx(0.25 * (9 - 1) ** 2 + 0.75 * (4 - 1) ** 2)


def test_regions_may_lie_elsewhere_in_each_image_and_be_absent(draw, style, shares):
    features, one = draw(2, 3, 4, 5), shares(2)
    styles = [style(seed) for seed in range(2)]
    none, whole = torch.zeros_like(one[0]), torch.ones_like(one[0])
    of_both = torch.stack([one, torch.stack([none, whole])], 1)  # of two regions in two images
    together = GuidedStyle([Region(*region) for region in zip(of_both, styles, strict=True)])(features)
    alone = GuidedStyle([Region(*region) for region in zip(one, styles, strict=True)])(features[:1])
    without = GuidedStyle([Region(whole, styles[1])])(features[1:])
    torch.testing.assert_close(together, torch.cat([alone, without]))


def test_the_loss_has_the_gradient_of_its_value(draw, shares):
    grams = [gram_matrix(draw(1, 3, 4, 4, seed=seed).double())[0] for seed in range(3)]
    regions = [Region(part, target(gram)) for part, gram in zip(shares(3).double(), grams, strict=True)]
    assert torch.autograd.gradcheck(GuidedStyle(regions), draw(2, 3, 4, 5).double().requires_grad_())


def pull(loss, features, split):
    """Root mean square of the gradient per position of the left region and of the right one."""
    features = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(features).sum(), features)
    return [part.square().mean().sqrt().item() for part in (gradient[..., :split], gradient[..., split:])]


def test_a_small_region_is_pulled_as_strongly_as_a_large_one(draw, halves, rounding):
    """The same features and the same target in both regions, one 15 times as large as the other."""
    features = draw(1, 4, 8, 2).repeat(1, 1, 1, 16)
    left, right = halves(8, 32, 2)
    wanted = gram_matrix(draw(1, 4, 8, 8, seed=3))[0]
    small, large = pull(GuidedStyle([Region(left, target(wanted)), Region(right, target(wanted))]), features, 2)
    assert small == pytest.approx(large, rel=max(1e-9, rounding))

    def by_all_positions(features_BCHW):
        """cysmith/neural-style-tf: masked features, Gram matrices divided by H W on both sides."""
        losses = [
            (gram_matrix(features_BCHW * part) - part.mean() * wanted).square().sum((1, 2)) for part in (left, right)
        ]
        return sum(losses)

    small, large = pull(by_all_positions, features, 2)
    assert small == pytest.approx(large / 15, rel=max(1e-9, rounding))


def test_a_region_with_little_energy_counts_as_much_as_one_with_much(draw, halves, rounding):
    """The second style is the first at a thousandth of its contrast; so is the picture there."""
    features = draw(1, 4, 8, 16)
    features[..., 8:] = features[..., :8] * 1e-3
    left, right = halves(8, 16, 8)
    wanted = gram_matrix(draw(1, 4, 8, 8, seed=3))[0]
    strong, faint = Region(left, target(wanted)), Region(right, target(wanted * 1e-6))
    together, alone = GuidedStyle([strong, faint])(features), GuidedStyle([strong])(features)
    torch.testing.assert_close(together, 2.0 * alone, rtol=max(1e-7, rounding), atol=0)


def seen_by(layer):
    """Pixels to the left and right of its first one that a position of a layer of VGG-19 sees, by hand."""
    return {"relu1_1": (1, 1), "relu1_2": (2, 2), "relu2_1": (4, 5), "relu3_1": (10, 13)}[layer]


@pytest.mark.parametrize("layer", ["relu1_1", "relu1_2", "relu2_1", "relu3_1"])
def test_a_regions_style_pulls_only_at_what_the_region_sees(layer, draw, device, dtype, rounding):
    size, split = 64, 16  # the region is the 16 left columns, a multiple of every layer's step
    backbone = build_backbone(BackboneConfig(weights="random"), {layer}, None, device=device, dtype=dtype)
    labels = read_labels("d", np.array([[(255, 0, 0)] * split + [(0, 0, 255)] * (size - split)] * size, np.uint8))
    positions = backbone.grids(size, size)[layer]
    of_red = torch.from_numpy(labels.shares(labels.colors.index(RED), *positions)).to(device, dtype)
    painting = draw(1, 3, size, size).sigmoid().requires_grad_()
    loss = GuidedStyle([Region(of_red, target(gram_matrix(backbone(draw(1, 3, 32, 32, seed=1).sigmoid())[layer])[0]))])
    (gradient,) = torch.autograd.grad(loss(backbone(painting)[layer]).sum(), painting)
    step = size // positions[0]
    last = split - step + seen_by(layer)[1]
    leak = 0.0 if device.type == "cpu" else rounding  # a GPU may convolve by Fourier transforms, which round everywhere
    assert gradient[..., last + 1 :].abs().max() <= leak * gradient.abs().max()
    assert (gradient[..., last] != 0).any()
    assert (gradient[..., 0] != 0).any()


# ---- the method ---------------------------------------------------------------------------------------------------
def tinted(seed, color):
    return Pixels(f"tinted-{seed}", (blocks(seed, 32, 32) * np.array(color)).astype(np.uint8))


MASK = Labels("mask", (RED, BLUE), np.array([[0] * 20 + [1] * 20] * 32, np.uint8))
settings = partial(small, GatysConfig, **LAYERS, steps=5, precision="float64")


def masked(styles, style_masks, mask=MASK, mix="targets", **changes):
    return request(settings(**changes), CONTENT, styles, mix=mix, mask=mask, style_masks=style_masks)


@pytest.mark.slow
def test_two_styles_in_two_regions_each_give_theirs():
    red, blue = tinted(1, (1.0, 0.1, 0.1)), tinted(2, (0.1, 0.1, 1.0))
    masks = [plain_labels(RED), plain_labels(BLUE)]
    straight, crossed = (
        masked([red, blue], each, style_weight=1e4, steps=15, init="noise") for each in (masks, masks[::-1])
    )
    (result,), (swapped,) = run(straight), run(crossed)
    left, right = result.image[:, :16].mean((0, 1)), result.image[:, 24:].mean((0, 1))
    assert left[0] > left[2] + 60
    assert right[2] > right[0] + 60
    assert swapped.image[:, :16].mean((0, 1))[2] > swapped.image[:, :16].mean((0, 1))[0] + 60


@pytest.mark.parametrize("mix", ["targets", "losses"])
def test_one_region_is_the_method_without_masks(mix):
    styles = [picture(1), picture(2)]
    whole = plain_labels(RED)
    (guided,), (plain,) = run(masked(styles, [whole, whole], whole, mix)), run(masked(styles, [], None, mix))
    np.testing.assert_array_equal(guided.image, plain.image)
    assert guided.losses.terms["style"].layers == pytest.approx(plain.losses.terms["style"].layers, rel=1e-9)


@pytest.mark.slow
def test_a_batch_of_masked_styles_equals_its_cells_alone():
    checks = Labels("checks", (BLUE, RED), np.indices((4, 4)).sum(0).astype(np.uint8) % 2)
    brief = {"init": "noise", "size": 24}
    requests = [
        masked([picture(1)], [checks], seed=1, **brief),
        masked([picture(2), picture(3)], [plain_labels(RED), plain_labels(BLUE)], seed=2, **brief),
        masked([picture(2), picture(3)], [checks, plain_labels(BLUE)], mix="losses", seed=3, **brief),
    ]
    for result, alone in together_and_alone(*requests):
        assert result.losses.terms["style"].loss == pytest.approx(alone.losses.terms["style"].loss, rel=1e-3)
        assert farthest(result.image, alone.image) <= 2


def test_masks_that_do_not_fit_fail_their_own_cell():
    good = masked([picture(1)], [MASK])
    bad = masked([picture(1)], [plain_labels(RED)])
    half = masked([picture(1), picture(2)], [MASK])
    ours, lacking, missing = run(good, bad, half)
    assert ours.error is None
    assert isinstance(lacking.error, InputError)
    assert f"nothing for {BLUE}" in str(lacking.error)
    assert "to all of them or to none" in str(missing.error)


def test_regions_of_a_style_are_summarised_once():
    room = workspace()
    batch = [masked([picture(1)], [MASK], seed=seed, steps=1) for seed in range(3)]
    with seen_by_backbones() as seen:
        stylize_batch(batch, room)
        assert seen.count(1) == 2  # the content and the style
        seen.clear()
        stylize_batch(batch, room)
        assert set(seen) == {3}
