"""Stylization by trained networks: exact batches and tiles, strength, colours, and refusals cell by cell."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from cells import picture, pictures_of, request, run, workspace

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.training import AdainTraining, ConditionalTraining, JohnsonTraining, MganTraining, TextureNetTraining
from nst.errors import InputError, NumericalError
from nst.methods import stylize_batch
from nst.networks import NETWORKS, Origin, Painting, build_network, metadata_of, network_from
from nst.networks.norm import held_statistics, joint_statistics, norms
from nst.networks.tiling import plan_tiles
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels, plain_labels
from nst.workspace import FrameBefore, NetworkFile

CONTENT, STYLES = picture(0, 36, 48), [picture(seed, 40, 40) for seed in (1, 2)]

SMALL = {"width": 4, "residual_blocks": 1}
DECODED = {"layer": "relu2_1", "backbone": BackboneConfig(weights="random")}
TRAININGS = {
    "johnson": JohnsonTraining(**SMALL),
    "conditional": ConditionalTraining(**SMALL),
    "texture_net": TextureNetTraining(mode="stylize", scales=3),
    "adain": AdainTraining(**DECODED),
    "mgan": MganTraining(**DECODED),
    "texture": TextureNetTraining(scales=3),
}
FAMILIES = ["johnson", "conditional", "texture_net", "adain", "mgan"]


@cache
def model(name):
    """A network with lively weights, as its file."""
    torch.manual_seed(7)
    config = TRAININGS[name]
    encodes = NETWORKS[config.family].encodes
    encoder = build_backbone(config.backbone, [config.layer], None) if encodes else None
    network = build_network(config, Origin(2, encoder))
    for key, parameter in network.named_parameters():
        if "norm" in key:
            torch.nn.init.normal_(parameter, mean=0.7, std=0.3)
    tensors = network.state_dict()
    styles = [style.digest for style in STYLES]
    return NetworkFile(name, lambda: (metadata_of(config, styles, 1), tensors))


def of(family="johnson", content=CONTENT, styles=(), weights=(), *, given=None, masks=(None, ()), **changes):
    """A cell of a family's network, or of the one that is given; with a style where the family needs one."""
    if family in {"adain", "conditional"} and not styles:
        styles = STYLES[:1]
    config = FeedforwardConfig(**{"family": family, "model": "some", "size": 48, **changes})
    content = None if config.mode == "texture" else content
    network, (mask, style_masks) = given or model(family), masks
    return request(config, content, styles, weights, mask=mask, style_masks=style_masks, model=network)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_of_different_contents_styles_and_settings_equals_its_cells_alone(family):
    requests = [
        of(family),
        of(family, picture(3, 36, 48), STYLES, weights=(3.0, 1.0)),
        of(family, picture(4, 50, 30), STYLES[1:], alpha=0.3),
        of(family, picture(5, 36, 48), alpha=0.6, seed=9),
    ]
    together = pictures_of(*requests)
    assert together[0].shape == (36, 48, 3)
    assert together[2].shape == (48, 29, 3)
    for one, result in zip(requests, together, strict=True):
        assert np.abs(pictures_of(one)[0] - result).max() <= 1


@pytest.mark.parametrize("family", ["johnson", pytest.param("conditional", marks=pytest.mark.slow), "adain", "mgan"])
@pytest.mark.parametrize("height", [97, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_tiles_equal_the_whole_picture(family, height):
    # Tiles of 96 pixels have 32 (johnson), 56 (adain) or 64 (mgan) new ones; odd sizes have a ragged last one.
    content, settings = picture(6, height, 130), {"size": 130, "color": "luminance", "alpha": 0.8}
    large = of(family, content, **settings)
    (whole,), (pieces,) = pictures_of(large), pictures_of(of(family, content, tile=96, **settings))
    assert np.abs(whole - pieces).max() <= 1
    (rough,) = pictures_of(of(family, content, tile=96, tile_statistics="scaled", **settings))
    assert 0 < np.abs(whole - rough).mean() < 20
    # Nothing stays behind in the warm network.
    assert np.array_equal(pictures_of(large)[0], whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "styles"),
    [("johnson", 1), ("mgan", 1), ("conditional", 1), ("conditional", 2), ("adain", 1), ("adain", 2)],
)
def test_tiles_equal_the_whole_picture_with_masks_too(family, styles):
    """With two styles in two regions whose border is oblique, or with one style in one of them."""
    height, width = 97, 130
    index = (np.arange(width)[None] + np.arange(height)[:, None] > 100).astype(np.uint8)
    mask = Labels("oblique", ("#ff0000", "#0000ff"), index)
    given = [plain_labels(color) for color in mask.colors[:styles]]
    if family == "adain" and styles < 2:
        given = [mask]  # a network of any style has one for each region
    changes = {"styles": STYLES[:styles], "masks": (mask, given), "size": width, "alpha": 0.8, "color": "luminance"}
    content = picture(6, height, width)
    whole, pieces = pictures_of(of(family, content, **changes), of(family, content, tile=96, **changes))
    assert np.abs(whole - pieces).max() <= 1
    (rough,) = pictures_of(of(family, content, tile=96, tile_statistics="scaled", **changes))
    assert np.abs(whole - rough).mean() < 20
    (plain,) = pictures_of(of(family, content, tile=96, **(changes | {"masks": (None, ())})))
    assert np.abs(whole - plain).max() > 1  # masks do something here


def test_tiles_cover_a_picture_once_and_start_where_the_network_does():
    network = build_network(JohnsonTraining(residual_blocks=1))
    tiles = list(plan_tiles(150, 203, 96, network))
    covered = np.zeros((150, 203), int)
    for tile in tiles:
        (top, bottom), (left, right) = tile.inner
        covered[top:bottom, left:right] += 1
        assert tile.outer[0][0] % 4 == tile.outer[1][0] % 4 == 0
        assert all(last - first <= 96 for first, last in tile.outer)
    assert (covered == 1).all()


@pytest.mark.parametrize("family", ["johnson", "conditional", "texture_net", "mgan"])
def test_strength_0_is_the_content_and_half_of_it_lies_halfway(family):
    none, half, full = pictures_of(*(of(family, alpha=alpha) for alpha in (0.0, 0.5, 1.0)))
    assert np.array_equal(none, CONTENT.array)
    assert np.abs(half - (none + full) / 2).max() <= 1


def test_luminance_keeps_the_colours_of_the_content():
    content = CONTENT.array // 8 + 110
    (result,) = pictures_of(of(color="luminance", content=Pixels("grey", content)))
    inside = ((result > 0) & (result < 255)).all(2)
    assert inside.mean() > 0.5
    for first, second in ((0, 1), (1, 2)):
        ours, expected = (image[..., first] - image[..., second] for image in (result, content.astype(int)))
        assert np.abs(ours - expected)[inside].max() <= 1


def test_conditional_styles_blend_by_weight():
    first, second, both = pictures_of(
        *(of("conditional", styles=STYLES, weights=weights) for weights in ((1.0, 0.0), (0.0, 2.0), (1.0, 1.0)))
    )
    (alone,) = pictures_of(of("conditional", styles=STYLES[:1]))
    assert np.abs(first - alone).max() <= 1
    assert all(np.abs(both - one).mean() > 1 for one in (first, second))


def test_adain_gives_each_region_its_own_style():
    # Left and right swapped in the style's masks: the picture must be as if the styles were swapped.
    halves = np.zeros((36, 48), np.uint8)
    halves[:, 24:] = 1
    mask = Labels("halves", ("#ff0000", "#0000ff"), halves)
    plain = [plain_labels(color) for color in mask.colors]
    swapped = [plain_labels(color) for color in reversed(mask.colors)]
    base = of("adain", styles=STYLES)
    one, other, alone = pictures_of(
        replace(base, content_mask=mask, style_masks=tuple(plain)),
        replace(base, styles=tuple(reversed(STYLES)), content_mask=mask, style_masks=tuple(swapped)),
        replace(base, styles=(STYLES[0],), style_weights=(1.0,), content_mask=plain[0], style_masks=(plain[0],)),
    )
    assert np.array_equal(one, other)
    unmasked = [pictures_of(of("adain", styles=[style]))[0] for style in STYLES]
    assert np.abs(alone - unmasked[0]).max() <= 1
    for side, style in ((slice(0, 20), 0), (slice(28, 48), 1)):
        means = [image[:, side].mean((0, 1)) for image in (one, unmasked[style], unmasked[1 - style])]
        assert np.abs(means[0] - means[1]).sum() < np.abs(means[0] - means[2]).sum()


HALVES = Labels("halves", ("#ff0000", "#0000ff"), np.repeat([[0] * 24 + [1] * 24], 36, 0).astype(np.uint8))


@pytest.mark.parametrize("family", ["johnson", "texture_net", "mgan", "conditional"])
@pytest.mark.parametrize("color", ["style", "luminance"])
def test_a_region_without_style_keeps_the_photograph(family, color):
    left, right = plain_labels(HALVES.colors[0]), plain_labels(HALVES.colors[1])
    changes = {"styles": STYLES[:1], "color": color, "alpha": 0.7}
    plain, whole, half, other = pictures_of(
        of(family, **changes),
        of(family, **changes, masks=(left, [left])),
        of(family, **changes, masks=(HALVES, [left])),
        of(family, **changes, masks=(HALVES, [right])),
    )
    assert np.array_equal(whole, plain)
    assert np.array_equal(half[:, :24], plain[:, :24])
    assert np.array_equal(half[:, 24:], CONTENT.array[:, 24:])
    assert np.array_equal(other[:, 24:], plain[:, 24:])
    assert np.array_equal(other[:, :24], CONTENT.array[:, :24])
    assert np.abs(plain - CONTENT.array).mean() > 5


def test_conditional_gives_each_region_its_blend():
    left, right = plain_labels(HALVES.colors[0]), plain_labels(HALVES.colors[1])
    one, two, blend = pictures_of(
        *(
            of("conditional", styles=styles, weights=(1.0, 3.0)[: len(styles)])
            for styles in (STYLES[:1], STYLES[1:], STYLES)
        )
    )
    apart, shared = pictures_of(
        of("conditional", styles=STYLES, masks=(HALVES, [left, right])),
        of("conditional", styles=STYLES, weights=(1.0, 3.0), masks=(HALVES, [HALVES, right])),
    )
    for found, first, second in ((apart, one, two), (shared, one, blend)):
        assert np.abs(found[:, :24] - first[:, :24]).max() <= 1
        assert np.abs(found[:, 24:] - second[:, 24:]).max() <= 1


def test_soft_borders_blend_the_picture_with_the_photograph():
    mask = Labels("coarse", ("#ff0000", "#0000ff"), np.array([[0, 1, 1]], np.uint8))  # the border lies within a pixel
    content = picture(0, 20, 20)
    styled, painted = pictures_of(
        *(
            of("johnson", content, STYLES[:1], size=20, masks=masks)
            for masks in ((None, ()), (mask, [plain_labels("#ff0000")]))
        )
    )
    assert np.abs(painted[:, 6] - (styled[:, 6] * 2 + content.array[:, 6]) / 3).max() <= 1  # 20 / 3 columns


def test_textures_have_the_asked_size_and_differ_by_seed():
    first, again, other = pictures_of(
        *(of("texture_net", given=model("texture"), mode="texture", size=40, seed=seed) for seed in (1, 1, 2))
    )
    assert first.shape == (40, 40, 3)
    assert np.array_equal(first, again)
    assert np.abs(first - other).mean() > 1


def test_a_network_is_built_once_and_kept_warm():
    loads = []
    source = model("johnson")
    counted = NetworkFile("johnson", lambda: loads.append(1) or source.load())
    warm = workspace()
    for seed in range(3):
        (result,) = stylize_batch([of(given=counted, content=picture(seed))], warm)
        assert result.losses is None  # a network measures nothing
    assert loads == [1]


RED, BLUE = plain_labels("#ff0000"), plain_labels("#0000ff")


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: of(given=model("conditional")), "is of family conditional; family says johnson"),
        (lambda: of("texture_net", given=model("texture")), "is for mode texture; mode says stylize"),
        (lambda: of("conditional", styles=[picture(8)]), "was not trained for the style blocks-8"),
        (lambda: of(content=picture(0, 8, 400)), "48 x 1 pixels; this johnson network needs 16"),
        (lambda: of("texture_net", tile=16), "a texture_net cannot work in tiles"),
        (lambda: replace(of("adain"), styles=(), style_weights=()), "needs a style image"),
        (lambda: of("adain", masks=(RED, ())), "masks for some of the images only"),
        (lambda: of("adain", masks=(RED, [BLUE])), "nothing for"),
        (lambda: of(styles=STYLES[:1], masks=(RED, [BLUE])), "nothing for"),
        (lambda: of("conditional", masks=(RED, [])), "masks for some of the images only"),
        (lambda: replace(of(), model=None), "no model is given"),
        (lambda: of(given=NetworkFile("x", lambda: ({}, {"x": torch.zeros(1)}))), "no network that can be imported"),
    ],
)
def test_what_cannot_run_is_refused_alone(bad, message):
    good, refused = run(of(), bad())
    assert good.error is None
    assert isinstance(refused.error, InputError)
    assert message in str(refused.error)


def test_a_constant_result_is_a_failure():
    metadata, tensors = model("johnson").load()
    dead = {key: torch.zeros_like(tensor) for key, tensor in tensors.items()}
    (result,) = run(of(given=NetworkFile("dead", lambda: (metadata, dead))))
    assert isinstance(result.error, NumericalError)
    assert result.image is None


def test_values_that_are_not_finite_fail_their_own_cell():
    metadata, tensors = model("conditional").load()
    large = {**tensors, "down.1.norm.shift": torch.stack([tensors["down.1.norm.shift"][0], torch.full((8,), 3e38)])}
    overflowing = NetworkFile("large", lambda: (metadata, large))
    good, bad = run(*(of("conditional", styles=[style], given=overflowing) for style in STYLES))
    assert good.error is None
    assert isinstance(bad.error, NumericalError)
    assert "not finite" in str(bad.error)


def test_a_cell_needs_the_images_that_make_it():
    needs = {
        frozenset({"content", "style"}): [
            {},
            {"family": "adain", "model": "x"},
            {"family": "conditional", "model": "x"},
            {"family": "doodle_net"},
        ],
        frozenset({"content"}): [
            *({"family": family, "model": "x"} for family in ("johnson", "texture_net", "doodle_net", "mgan")),
            {"family": "super_resolution"},
        ],
        frozenset({"style"}): [{"family": "texture_net", "mode": "texture"}],
    }
    for expected, configs in needs.items():
        for fields in configs:
            assert FeedforwardConfig(**fields).needs == expected
    masks = {family: FeedforwardConfig(family=family).masks for family in ("adain", "doodle_net", "johnson")}
    assert masks == {"adain": "allowed", "doodle_net": "content", "johnson": "allowed"}
    assert FeedforwardConfig(family="johnson", model="3f9c").masks == "none"  # whose cells have no style image


def test_statistics_that_are_held_are_those_of_all_frames_of_the_shot():
    """Given the statistics over the frames, every frame is normalised alike; over one frame they are its own."""
    frames = [picture(seed, 36, 48) for seed in (0, 5, 6)]
    own, held = (
        run(replace(of(content=frames[0], video={"hold_statistics": True}), shot=shot))[0].image
        for shot in ((), (frames[0],))
    )
    np.testing.assert_array_equal(own, held)
    network = network_from(*model("johnson").load())
    seen = []
    batch = torch.from_numpy(np.stack([frame.array for frame in frames])).permute(0, 3, 1, 2).double() / 255
    network.double().eval()
    first, second = norms(network)[:2]
    with torch.no_grad():
        found = joint_statistics(network, lambda: network.paint(Painting((36, 48), batch, [0] * 3)))
    with torch.no_grad(), held_statistics(network, found):
        mean, variance = next(first.fixed)
        first.watch = lambda x, _: seen.append(x)
        network.paint(Painting((36, 48), batch, [0] * 3))
    inputs = seen[0].transpose(0, 1).flatten(1)
    np.testing.assert_allclose(mean.flatten(), inputs.mean(1), rtol=1e-9)
    np.testing.assert_allclose(variance.flatten(), inputs.var(1, correction=0), rtol=1e-9)
    assert first.fixed is second.fixed is None  # nothing stays


def test_a_held_frame_does_not_change_its_brightness_when_something_comes_into_view():
    plain = picture(0, 36, 48)
    array = plain.array.copy()
    array[:, 40:] = 255  # something bright comes in at the right
    bright = Pixels("bright", array)
    shot = (plain, bright)
    gaps = []
    for used in ((), shot):
        one, two = (run(replace(of(content=frame), shot=used))[0].image.astype(int) for frame in shot)
        gaps.append(np.abs(one - two)[:, :16].mean())  # far from what came in
    assert gaps[1] < 0.2 * gaps[0]


def test_a_frame_is_mixed_with_the_one_before_where_the_motion_is_certain():
    content = picture(0, 36, 48)
    before = np.zeros((36, 48, 3), np.float32)
    certain = np.zeros((36, 48), np.float32)
    certain[:, :24] = 1
    alone = run(of(content=content))[0].image
    past = (FrameBefore(before, certain),)
    mixed = run(replace(of(content=content, video={"blend": 0.25}), before=past))[0].image
    np.testing.assert_array_equal(mixed[:, 24:], alone[:, 24:])
    np.testing.assert_allclose(mixed[:, :24], 0.75 * alone[:, :24], atol=0.51)
