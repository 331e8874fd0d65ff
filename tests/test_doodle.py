"""Doodles: patches matched together with their masks, regions that keep their own paint, what the systems got wrong."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import LAYERS, blocks, losses_of, picture, request, run, small, together_and_alone

from nst.config.doodle import DoodleConfig
from nst.config.mrf import MrfConfig
from nst.errors import InputError
from nst.losses.patches import Guide, PatchGuides, PatchTarget, cut_patches, nearest_patches, unit
from nst.pictures.images import Pixels
from nst.pictures.masks import Labels, plain_labels

RED, BLUE, BLACK, WHITE = "#ff0000", "#0000ff", "#000000", "#ffffff"


# ---- patches with masks -------------------------------------------------------------------------------------------
def random(*shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def one_hot(labels_HW, count):
    return torch.nn.functional.one_hot(torch.as_tensor(labels_HW), count).permute(2, 0, 1)[None].double()


def cosine(a, b):
    scale = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / scale) if scale else 0.0


def windows(map_1CHW, size, stride):
    array = map_1CHW[0].numpy()
    return [
        array[:, top : top + size, left : left + size].ravel()
        for top in sorted({*range(0, array.shape[1] - size, stride), array.shape[1] - size})
        for left in sorted({*range(0, array.shape[2] - size, stride), array.shape[2] - size})
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "stride", "chunk", "weight"), [(3, 1, 7, 10.0), (2, 2, 1000, 0.3), (1, 1, 5, 2.0)])
def test_matches_are_those_of_brute_force_over_features_and_masks(size, stride, chunk, weight):
    picture, mask = random(1, 4, 7, 8, seed=0), torch.softmax(3 * random(1, 3, 7, 8, seed=1), 1)
    maps = [random(1, 4, 9, 6, seed=2), random(1, 4, 5, 10, seed=3)]
    masks = [torch.softmax(3 * random(1, 3, 9, 6, seed=4), 1), torch.softmax(3 * random(1, 3, 5, 10, seed=5), 1)]
    expected = []
    for here, over in zip(windows(picture, size, stride), windows(mask, size, stride), strict=True):
        scores = [
            cosine(there, here) + weight * cosine(under, over)
            for each, mask_of_each in zip(maps, masks, strict=True)
            for there, under in zip(windows(each, size, stride), windows(mask_of_each, size, stride), strict=True)
        ]
        expected.append(int(np.argmax(scores)))
    guide = Guide(unit(cut_patches(mask, size, stride)[0]), masks, weight)
    patches = cut_patches(picture, size, stride)[0]
    matches, index = nearest_patches(patches, maps, size, stride, chunk=chunk, guide=guide)
    assert index.tolist() == expected
    every = torch.cat([cut_patches(each, size, stride)[0] for each in maps], 1)
    torch.testing.assert_close(matches, every[:, index])


def test_a_planted_patch_is_found_in_its_region_and_not_in_the_other():
    """The style has the picture's patch exactly in the wrong region, and something like it in the right one."""
    picture = random(1, 4, 3, 3, seed=0)
    style = random(1, 4, 3, 12, seed=1)
    style[..., :3] = picture  # in region 0
    style[..., 9:] = picture + 0.1 * random(1, 4, 3, 3, seed=2)  # in region 1
    over_style = one_hot([[0] * 6 + [1] * 6] * 3, 2)
    over_picture = one_hot([[1] * 3] * 3, 2)
    patches = cut_patches(picture, 3, 1)[0]

    def found(weight):
        guide = Guide(unit(cut_patches(over_picture, 3, 1)[0]), [over_style], weight)
        return nearest_patches(patches, [style], 3, 1, guide=guide)[1].item()

    assert nearest_patches(patches, [style], 3, 1)[1].item() == found(0.0) == 0
    assert found(10.0) == 9


def test_with_a_large_weight_no_match_leaves_its_region():
    """nkolkin13/STROTSS shuffles rows and columns apart, so that its samples leave their regions."""
    labels = np.kron(np.array([[0, 1], [2, 0]]), np.ones((6, 6), int))
    picture, style = random(1, 4, 12, 12, seed=0), random(1, 4, 12, 12, seed=1)
    mask = one_hot(labels, 3)
    guide = Guide(unit(cut_patches(mask, 1, 1)[0]), [mask], 10.0)
    index = nearest_patches(cut_patches(picture, 1, 1)[0], [style], 1, 1, guide=guide)[1]
    assert (labels.ravel()[index.numpy()] == labels.ravel()).all()


def test_the_loss_of_guided_patches_is_of_the_features_alone():
    """Two positions, two style positions, masks crossed: each must match the one that its features are not."""
    picture, style = torch.eye(2).double()[None, :, None], 2.0 * torch.eye(2).double()[None, :, None]
    crossed = PatchGuides(one_hot([[0, 1]], 2), ((one_hot([[1, 0]], 2),),), 10.0)
    loss = PatchTarget(((style,),), torch.tensor([4.0]).double(), 1, 1, crossed)
    assert loss(picture).item() == pytest.approx((1 + 4) / 4)
    assert PatchTarget(((style,),), torch.tensor([4.0]).double(), 1, 1)(picture).item() == pytest.approx(1 / 4)


# ---- the method ---------------------------------------------------------------------------------------------------
def two_halves():
    """Red at the left and blue at the right."""
    red, blue = (blocks(seed, 32, 20) * tint for seed, tint in ((1, (1.0, 0.1, 0.1)), (2, (0.1, 0.1, 1.0))))
    return Pixels("halves", np.concatenate([red, blue], 1).astype(np.uint8))


def labels(index, *colors):
    return Labels(str(colors) + str(np.sum(index)), colors, np.asarray(index, np.uint8))


HALVES = labels([[0] * 20 + [1] * 20] * 32, RED, BLUE)
HOW = ["gram", "patches"]


BRIEF = partial(small, DoodleConfig, **LAYERS, steps=8, stride=2, pyramid={"levels": 1}, style_weight=1e3)


def settings(how="gram", **changes):
    return BRIEF(how=how, **changes)


def doodle(config, mask=HALVES, style=None, style_mask=HALVES, content=None):
    return request(config, content, [style or two_halves()], mask=mask, style_masks=[style_mask])


def redness(image):
    return image[..., 0].astype(float) - image[..., 2]


@pytest.mark.parametrize("how", HOW)
def test_a_doodle_of_two_colours_is_painted_in_two_ways_from_masks_alone(how):
    swapped = labels(1 - HALVES.index, RED, BLUE)
    (result,) = run(doodle(settings(how, steps=12), swapped))
    assert result.error is None
    assert result.image.shape == (32, 40, 3)
    assert "content" not in result.losses.terms
    difference = redness(result.image)
    assert difference[:, :16].mean() < -40
    assert difference[:, 24:].mean() > 40


@pytest.mark.parametrize("how", HOW)
def test_a_checkerboard_is_painted_square_by_square(how):
    squares = (np.indices((2, 2)).sum(0) % 2).repeat(16, 0).repeat(16, 1)
    (result,) = run(doodle(settings(how, size=32, steps=12), labels(squares, RED, BLUE)))
    middle = redness(result.image).reshape(2, 16, 2, 16)[:, 4:12, :, 4:12].mean((1, 3))
    assert (middle[[0, 1], [0, 1]] > 30).all()
    assert (middle[[0, 1], [1, 0]] < -30).all()


@pytest.mark.parametrize("how", HOW)
def test_black_is_as_good_a_colour_as_any(how):
    """alexjc/neural-doodle takes the mask's values for features, so that black patches correlate with nothing."""
    dark = labels(HALVES.index, BLACK, WHITE)
    first, second = run(doodle(settings(how, steps=5))), run(doodle(settings(how, steps=5), dark, style_mask=dark))
    assert np.array_equal(first[0].image, second[0].image)


@pytest.mark.parametrize("how", HOW)
def test_the_style_weight_has_an_effect(how):
    """DmitryUlyanov/fast-neural-doodle keeps its strength and never uses it."""
    weak, strong = run(*(doodle(settings(how, style_weight=weight, steps=8)) for weight in (1e-3, 1e3)))
    assert strong.losses.terms["style"].loss < 0.9 * weak.losses.terms["style"].loss
    assert strong.losses.terms["style"].weight_relative == pytest.approx(1e3)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.slow
def test_a_batch_equals_its_cells_alone(how):
    requests = [
        doodle(settings(how, precision="float64", steps=4, seed=seed, style_weight=100.0 * seed)) for seed in (1, 2)
    ]
    for together, alone in together_and_alone(*requests):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-6)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.slow
def test_a_content_picture_is_optional_and_kept_where_there_is_one(how):
    content = picture(7)
    (free,), (kept,) = (
        run(doodle(settings(how, content_weight=1.0, style_weight=1.0), content=each)) for each in (None, content)
    )
    assert kept.losses.terms["content"].loss < 0.5
    distances = [np.square(each.image.astype(float) - content.array).mean() for each in (kept, free)]
    assert distances[0] < 0.5 * distances[1]
    (started,) = run(doodle(settings(how, init="content", steps=1, style_weight=0.0, tv_weight=0.0), content=content))
    assert np.array_equal(started.image, content.array)


def test_a_doodle_starts_from_grey_with_as_much_noise_as_it_is_told():
    """Of noise alone, the start of alexjc/neural-doodle, a part stays in the flat places to the end."""
    nothing = {"steps": 1, "style_weight": 0.0, "tv_weight": 0.0}
    little, much = (run(doodle(settings(**nothing, **noise)))[0].image for noise in ({}, {"noise": 1.0}))
    assert np.abs(little.astype(int) - (124, 117, 104)).max() <= 4
    assert much.std() > 60


@pytest.mark.slow
def test_without_semantics_patches_are_those_of_mrf():
    common = {"precision": "float64", "steps": 6, "stride": 2, "tv_weight": 1.0, "init": "content",
              "pyramid": {"levels": 1}, **LAYERS}  # fmt: skip
    content = picture(7)
    unguided = doodle(small(DoodleConfig, how="patches", semantic_weight=0.0, **common), content=content)
    (ours,), (theirs,) = run(unguided), run(request(small(MrfConfig, **common), content, [two_halves()]))
    assert losses_of(ours) == pytest.approx(losses_of(theirs), rel=1e-9)


def test_a_pyramid_whose_levels_are_smaller_than_a_patch_is_refused():
    """alexjc/neural-doodle crashes there (its issue 76)."""
    (result,) = run(doodle(settings("patches", pyramid={"levels": 4})))
    assert isinstance(result.error, InputError)
    assert "needs 6" in str(result.error)


@pytest.mark.parametrize("how", HOW)
def test_a_style_without_any_features_breaks_nothing(how):
    """alexjc/neural-doodle ends in NaN where patches have no length (its issue 14)."""
    grey = Pixels("grey", np.full((32, 40, 3), (124, 117, 104), np.uint8))
    (result,) = run(doodle(settings(how, steps=3), style=grey))
    assert result.error is None
    assert np.isfinite(result.losses.loss)


def test_what_does_not_fit_is_refused_cell_by_cell():
    good = doodle(settings(steps=1))
    lacking = doodle(settings(steps=1), style_mask=plain_labels(RED))
    outcomes = run(good, lacking)
    assert outcomes[0].error is None
    assert f"nothing for {BLUE}" in str(outcomes[1].error)
    (unstarted,) = run(doodle(settings(init="content")))
    assert "no picture to start from" in str(unstarted.error)
    (unmasked,) = run(request(settings(), None, [two_halves()]))
    assert "needs masks" in str(unmasked.error)


@pytest.mark.parametrize("how", HOW)
def test_masks_fit_the_layers_of_every_backbone(how):
    """SqueezeNet's first convolution is not padded: its maps are smaller than its strides say."""
    backbone = {"name": "squeezenet", "weights": "random"}
    (result,) = run(doodle(settings(how, size=61, steps=2, style_layers=["relu1", "fire3"], backbone=backbone)))
    assert result.error is None
