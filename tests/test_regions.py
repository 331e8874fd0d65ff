"""Every style loss region by region: whole pictures as before, regions as if cut out, gradients, and no leak."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, STYLES, blocks, picture, request, run, small

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.gatys import GatysConfig
from nst.config.mrf import MrfConfig
from nst.losses.guided import GuidedStyle, Region, guided_moments, places_of, region_statistics, select
from nst.losses.moments import moments_statistics
from nst.losses.patches import Guide, PatchGuides, PatchTarget, cut_patches, nearest_patches, unit
from nst.losses.style import STYLE_LOSSES, style_loss, style_target
from nst.methods.mrf import MASK_WEIGHT, turned
from nst.pictures.images import Pixels, rotate
from nst.pictures.masks import Labels, plain_labels

REPRESENTATIONS = list(STYLE_LOSSES)
RED, BLUE = "#ff0000", "#0000ff"


def target(representation, features):
    loss = STYLE_LOSSES[representation]
    return style_target(loss, [([loss.statistics(features)], [1.0], "targets")])


def of_two(height, width, split):
    """A mask with a red region on the left and a blue one on the right."""
    index = np.zeros((height, width), np.uint8)
    index[:, split:] = 1
    return Labels(f"{height}x{width}/{split}", (RED, BLUE), index)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_a_region_of_the_whole_picture_is_the_loss_without_masks_to_the_last_bit(representation, draw, device, dtype):
    features, style = draw(2, 5, 6, 9), draw(1, 5, 8, 7, seed=1)
    whole = torch.ones(6, 9, device=device, dtype=dtype)
    guided = GuidedStyle([Region(whole, target(representation, style))], representation)
    plain = style_loss(STYLE_LOSSES[representation], features, target(representation, style))
    assert torch.equal(guided(features), plain)
    (found,) = region_statistics({"layer": style}, plain_labels(RED), representation)["layer"]
    for ours, theirs in zip(found, STYLE_LOSSES[representation].statistics(style), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_two_regions_cost_what_they_would_cost_alone_by_their_areas(representation, draw, halves):
    features = draw(2, 5, 8, 16)
    left, right = halves(8, 16, 4)
    styles = [target(representation, draw(1, 5, 8, 8, seed=seed)) for seed in (1, 2)]
    loss = STYLE_LOSSES[representation]
    guided = GuidedStyle([Region(left, styles[0]), Region(right, styles[1])], representation)(features)
    alone = [style_loss(loss, part, style) for part, style in zip(features.split([4, 12], 3), styles, strict=True)]
    torch.testing.assert_close(guided, 0.25 * alone[0] + 0.75 * alone[1])


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_a_picture_of_two_halves_of_two_styles_costs_nothing(representation, draw, halves, rounding):
    one, two = draw(1, 5, 8, 8), 3.0 * draw(1, 5, 8, 8, seed=1)
    left, right = halves(8, 16, 8)
    styles = [target(representation, style) for style in (one, two)]
    guided = GuidedStyle([Region(left, styles[0]), Region(right, styles[1])], representation)
    assert guided(torch.cat([one, two], 3)).item() < max(1e-6, rounding)
    assert guided(torch.cat([two, one], 3)).item() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_the_loss_has_the_gradient_of_its_value(representation, draw):
    shares = torch.softmax(draw(3, 4, 5, seed=1).double(), 0)
    styles = [target(representation, draw(1, 3, 6, 6, seed=seed).double()) for seed in range(3)]
    regions = [Region(*region) for region in zip(shares, styles, strict=True)]
    features = draw(2, 3, 4, 5).double().requires_grad_()
    assert torch.autograd.gradcheck(GuidedStyle(regions, representation), features, atol=1e-4)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_a_regions_loss_sees_no_pixel_of_other_regions_but_the_next(representation, draw, device, dtype, rounding):
    """At relu1_1 a position sees one pixel on each side."""
    backbone = build_backbone(BackboneConfig(weights="random"), {"relu1_1"}, None, device=device, dtype=dtype)
    shares = torch.from_numpy(of_two(32, 32, 12).shares(0, 32, 32)).to(device, dtype)
    style = backbone(draw(1, 3, 16, 16, seed=1).sigmoid())["relu1_1"]
    loss = GuidedStyle([Region(shares, target(representation, style))], representation)
    painting = draw(1, 3, 32, 32).sigmoid().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(backbone(painting)["relu1_1"]).sum(), painting)
    leak = 0.0 if device.type == "cpu" else rounding  # a GPU may convolve by Fourier transforms, which round everywhere
    assert gradient[..., 13:].abs().max() <= leak * gradient.abs().max()
    assert (gradient[..., 12] != 0).any()


@pytest.mark.slow
def test_the_moments_of_soft_regions_add_up_to_those_of_the_picture(draw):
    features, shares = draw(2, 5, 4, 5), torch.softmax(draw(3, 4, 5, seed=1), 0)
    parts = [guided_moments(features, part) for part in shares]
    for number, whole in enumerate(moments_statistics(features)):
        together = sum(part.mean() * found[number] for part, found in zip(shares, parts, strict=True))
        torch.testing.assert_close(together, whole)


def test_a_region_that_has_half_of_no_position_keeps_those_of_its_largest_share(device, dtype):
    features = torch.arange(4.0, device=device, dtype=dtype).view(1, 1, 1, 4)
    shares = torch.tensor([[0.1, 0.3, 0.3, 0.0]], device=device, dtype=dtype)
    assert select(features, places_of(shares)).flatten().tolist() == [1.0, 2.0]
    assert select(features, places_of(2 * shares)).flatten().tolist() == [1.0, 2.0]
    assert select(features, places_of(5 * shares)).flatten().tolist() == [0.0, 1.0, 2.0]


# ---- patches ------------------------------------------------------------------------------------------------------
def maps_of(labels, height, width, like):
    return torch.stack([torch.from_numpy(labels.shares(k, width, height)) for k in (0, 1)])[None].to(like)


def test_patches_within_a_region_find_patches_of_that_region_and_borders_find_borders(draw):
    """The picture's left half is the style's right half, and the other way round: features alone would cross over."""
    style, size = draw(1, 4, 12, 16).relu(), 3
    painting = torch.cat([style[..., 8:], style[..., :8]], 3)
    masks = maps_of(of_two(12, 16, 8), 12, 16, style)
    guide = Guide(unit(cut_patches(masks, size, 1)[0]), [masks], MASK_WEIGHT)
    patches = cut_patches(painting, size, 1)[0]
    columns = nearest_patches(patches, [style], size, 1, guide=guide)[1].view(10, 14) % 14
    assert (columns[:, :6] < 6).all()  # patches begin in columns 0 to 13; those from 6 and 7 lie on the border
    assert (columns[:, 8:] >= 8).all()
    assert (columns[:, 6] == 6).all()
    assert (columns[:, 7] == 7).all()
    crossing = nearest_patches(patches, [style], size, 1)[1].view(10, 14) % 14
    assert (crossing[:, :6] >= 8).all()


def test_the_patch_loss_of_regions_has_the_gradient_of_its_value_where_matches_stay(draw):
    style, masks = draw(1, 3, 6, 8).double().relu(), maps_of(of_two(6, 8, 4), 6, 8, torch.zeros(()).double())
    loss = PatchTarget(((style,),), torch.ones(1).double(), 3, 1, PatchGuides(masks, ((masks,),), MASK_WEIGHT))
    assert torch.autograd.gradcheck(loss, draw(1, 3, 6, 8, seed=1).double().requires_grad_())
    assert loss(style).item() == 0.0


def test_a_turned_mask_lies_over_the_turned_image():
    index = np.zeros((20, 50), np.uint8)  # a mask of other proportions than its image
    index[:, 30:] = 1
    index[12:, :] = 2
    labels, colors = Labels("m", (RED, "#00ff00", BLUE), index), np.eye(3, dtype=np.uint8) * 255
    image = colors[index[(np.arange(60) + 0.5).astype(int) * 20 // 60][:, (np.arange(90) + 0.5).astype(int) * 50 // 90]]
    for degrees in (-15.0, 7.5):
        expected = rotate(image, degrees).argmax(2)
        found = turned(labels, (90, 60), degrees).index
        assert found.shape == expected.shape
        assert (found == expected).mean() > 0.99
    assert not np.array_equal(turned(labels, (90, 60), 15.0).index, turned(labels, (90, 60), -15.0).index)


# ---- the methods --------------------------------------------------------------------------------------------------
BRIEF = {**LAYERS, "steps": 4, "pyramid": {"levels": 1}, "precision": "float64"}
METHODS = {
    **{name: partial(GatysConfig, style_representation=name) for name in REPRESENTATIONS},
    "mrf": partial(MrfConfig, rotations=1),
}


def masked(name, styles, mask, style_masks, **changes):
    return request(small(METHODS[name], **{**BRIEF, **changes}), CONTENT, styles, mask=mask, style_masks=style_masks)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REPRESENTATIONS, "mrf"])
def test_one_region_paints_the_picture_without_masks(name):
    whole = plain_labels(RED)
    guided, plain = run(masked(name, STYLES[:2], whole, [whole, whole])), run(masked(name, STYLES[:2], None, []))
    np.testing.assert_array_equal(guided[0].image, plain[0].image)
    assert guided[0].losses.terms["style"].layers == plain[0].losses.terms["style"].layers


@pytest.mark.slow
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_styles_of_different_sizes_meet_in_a_region_and_in_a_batch(name):
    mask, small_style = of_two(32, 40, 20), Pixels("narrow", blocks(9, 40, 24))
    whole = plain_labels(RED)
    mixed = masked(name, [STYLES[0], small_style], mask, [mask, of_two(40, 24, 4)], steps=2)
    alone = masked(name, [small_style, STYLES[0]], mask, [whole, plain_labels(BLUE)], steps=2)
    for together, single in zip(run(mixed, alone), [run(mixed)[0], run(alone)[0]], strict=True):
        assert together.error is None
        assert together.losses.terms["style"].loss == pytest.approx(single.losses.terms["style"].loss, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*REPRESENTATIONS, "mrf"])
def test_each_region_takes_its_style(name):
    red, blue = (
        Pixels(f"tinted-{seed}", (blocks(seed) * np.array(tint)).astype(np.uint8))
        for seed, tint in ((1, (1.0, 0.1, 0.1)), (2, (0.1, 0.1, 1.0)))
    )
    mask, masks = of_two(32, 40, 20), [plain_labels(RED), plain_labels(BLUE)]
    (result,) = run(masked(name, [red, blue], mask, masks, style_weight=1e3, init="noise", steps=25))
    left, right = result.image[:, :16].mean((0, 1)), result.image[:, 24:].mean((0, 1))
    assert left[0] > left[2] + 40
    assert right[2] > right[0] + 40


@pytest.mark.parametrize("name", ["moments", "mrf"])
def test_a_region_without_style_fails_its_own_cell(name):
    mask = of_two(32, 40, 20)
    good, bad = masked(name, [picture(1)], mask, [mask]), masked(name, [picture(1)], mask, [plain_labels(RED)])
    ours, lacking = run(good, bad)
    assert ours.error is None
    assert f"nothing for {BLUE}" in str(lacking.error)
