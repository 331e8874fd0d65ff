"""What settings say of their effect is true of the pixels; points of a sweep that make one picture are one cell."""

from functools import cache

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, RANDOM, STYLES, pictures_of, request

from nst.config import METHOD_CONFIGS
from nst.config.method import PixelMethod
from nst.config.training import JohnsonTraining, SuperResolutionTraining, TextureNetTraining
from nst.manifest.sweep import parse_manifest
from nst.networks import Origin, build_network, metadata_of
from nst.pictures.masks import plain_labels
from nst.planning.batches import make_plan
from nst.planning.cells import expand
from nst.planning.merging import SAME_IMAGES, aliases, merge_reasons
from nst.records import ImageRef, StyleRef
from nst.workspace import NetworkFile

MASK = plain_labels("#ff0000")

TINY = {"size": 32, "steps": 2, "backbone": RANDOM}
SHALLOW = {**TINY, **LAYERS}
BASES = {
    "gatys": SHALLOW,
    "mrf": {**SHALLOW, "pyramid": {"levels": 1}},
    "mdan": {**SHALLOW, "pyramid": {"levels": 1}},
    "doodle": {**SHALLOW, "pyramid": {"levels": 1}},
    "texture": {**TINY, "style_layers": ["relu1_1", "relu2_1"]},
    "invert": {**TINY, "layer": "relu2_1"},
    "dream": {**TINY, "layers": ["relu2_1"], "pyramid": {"levels": 1}},
    "class_visualisation": {"size": 64, "steps": 1, "backbone": RANDOM, "pyramid": {"levels": 1}},
    "feedforward": {"size": 48, "family": "johnson"},
    "baseline": {"size": 32},
}
"""Settings of each method for pictures that take no time."""

TWO_LEVELS = {"levels": 2}
FIRST = {"levels": 1, "first_steps": 1}
ADAM = {"optimizer": {"name": "adam"}}
GIVEN = {"uri": "start.png"}
SYNTHESIS = {"what": "synthesis"}

TRIALS = [  # method, setting, two values, settings under which it has no effect, settings under which it has one
    ("gatys", "seed", (1, 2), {}, {"noise": 0.5}),
    ("gatys", "seed", (1, 2), {"init": "style"}, {"init": "noise"}),
    ("gatys", "seed", (1, 2), {"init": GIVEN}, {"init": GIVEN, "noise": 0.5}),
    ("gatys", "resize", ("long", "short"), {"size": "original"}, {}),
    ("gatys", "noise", (0.1, 0.9), {"init": "noise"}, {"init": "content"}),
    ("gatys", "energies", ("own", "author"), {}, {"units": "jcjohnson"}),
    ("gatys", "tv", ("squared", "euclidean"), {"tv_weight": 0}, {"tv_weight": 100}),
    ("gatys", "laplacian_pool", (1, 4), {}, {"laplacian_weight": 10, "init": "noise"}),
    ("gatys", "steps", (2, 3), {"pyramid": FIRST}, {"pyramid": {**FIRST, **TWO_LEVELS}}),
    ("gatys", "pyramid.factor", (0.5, 0.9), {}, {"pyramid": TWO_LEVELS}),
    ("gatys", "pyramid.warm_start", (False, True), ADAM, {**ADAM, "pyramid": TWO_LEVELS}),
    ("gatys", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, {**ADAM, "pyramid": TWO_LEVELS}),
    ("gatys", "backbone.input", ("torchvision", "caffe"), {}, None),
    ("mrf", "seed", (1, 2), {}, {"init": "noise"}),
    ("mrf", "seed", (1, 2), {"init": GIVEN}, {"init": "noise"}),
    ("mrf", "init", ("content", "noise"), SYNTHESIS, {}),
    ("mrf", "resize", ("long", "short"), SYNTHESIS, {}),
    ("mrf", "content_layers", ({"relu1_1": 1.0}, {"relu2_1": 1.0}), SYNTHESIS, {"init": "noise"}),
    ("mrf", "content_weight", (1.0, 100.0), SYNTHESIS, {}),
    ("mrf", "photorealism_weight", (0.0, 100.0), SYNTHESIS, {"init": "noise"}),
    ("mrf", "guided_filter", (None, {"radius": 2}), SYNTHESIS, {}),
    ("mrf", "color", ("style", "oklab"), SYNTHESIS, {}),
    ("mrf", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, {**ADAM, "pyramid": TWO_LEVELS}),
    ("mdan", "resize", ("long", "short"), {"size": "original"}, {}),
    ("doodle", "seed", (1, 2), {"init": "content"}, {}),
    ("doodle", "noise", (0.1, 0.9), {"init": "content"}, {}),
    ("doodle", "seed", (1, 2), {"init": GIVEN}, {}),
    ("doodle", "resize", ("long", "short"), {"size": "original"}, {}),
    ("doodle", "semantic_weight", (0.0, 10.0), {"how": "gram"}, None),
    ("doodle", "patch_size", (1, 3), {"how": "gram"}, {"how": "patches"}),
    ("doodle", "stride", (1, 2), {"how": "gram"}, {"how": "patches"}),
    ("doodle", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, {**ADAM, "pyramid": TWO_LEVELS}),
    ("texture", "size", (32, 48), {"width": 32, "height": 40}, {"width": 32}),
    ("texture", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, {**ADAM, "pyramid": TWO_LEVELS}),
    ("invert", "resize", ("long", "short"), {"what": "style"}, {}),
    ("invert", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, {**ADAM, "pyramid": TWO_LEVELS}),
    ("dream", "seed", (1, 2), {"jitter": 0}, {"jitter": 8}),
    ("dream", "noise", (0.1, 0.9), {"init": "noise"}, {}),
    ("dream", "resize", ("long", "short"), {"init": "noise"}, {}),
    ("dream", "color", ("dream", "luminance"), {"init": "noise"}, {}),
    ("dream", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, None),
    ("class_visualisation", "seed", (1, 2), {"jitter": 0}, {"jitter": 8}),
    ("class_visualisation", "pyramid.warm_start", (False, True), {"pyramid": TWO_LEVELS}, None),
    ("feedforward", "seed", (1, 2), {}, {"family": "texture_net", "mode": "texture"}),
    ("feedforward", "alpha", (0.3, 1.0), {"family": "texture_net", "mode": "texture"}, {}),
    ("feedforward", "color", ("style", "oklab"), {"family": "texture_net", "mode": "texture"}, {}),
    ("feedforward", "alpha", (0.3, 1.0), {"family": "super_resolution"}, {}),
    ("feedforward", "color", ("style", "oklab"), {"family": "super_resolution"}, {}),
    ("feedforward", "style_scale", (0.5, 1.0), {}, None),
    ("feedforward", "resize", ("long", "short"), {"family": "texture_net", "mode": "texture"}, {}),
    ("baseline", "resize", ("long", "short"), {"size": "original"}, {}),
    ("baseline", "blur_sigma", (0.05, 0.2), {"kind": "noise"}, {"kind": "blur"}),
    ("baseline", "noise_sigma", (0.05, 0.2), {"kind": "blur"}, {"kind": "noise"}),
    ("baseline", "seed", (1, 2), {"kind": "colors"}, {"kind": "noise"}),
]
"""Without a last entry, no other value of another setting gives the setting an effect on these pictures."""

UNTRIED = {"backbone.seed"}
"""Settings without a trial: a seed makes no file of weights."""

NETWORKS = {
    "johnson": JohnsonTraining(width=4, residual_blocks=1),
    "super_resolution": SuperResolutionTraining(width=4, residual_blocks=1),
    "texture_net": TextureNetTraining(scales=3),
}


@cache
def network(family):
    torch.manual_seed(7)
    config = NETWORKS[family]
    tensors = build_network(config, Origin(1, None)).state_dict()
    return NetworkFile(family, lambda: (metadata_of(config, ["s"], 1), tensors))


def settings(method, path, value, given):
    merged = {**BASES[method], **given}
    first, _, inner = path.partition(".")
    merged[first] = {**merged.get(first, {}), inner: value} if inner else value
    return METHOD_CONFIGS[method].model_validate({"name": method, **merged})


def paint(config):
    return painted(config.name, config.model_dump_json())


@cache
def painted(name, written):
    """Return the picture of written settings, which several trials may share."""
    config = METHOD_CONFIGS[name].model_validate_json(written)
    needs = config.needs
    masked = config.name == "doodle"
    (image,) = pictures_of(
        request(
            config,
            CONTENT if "content" in needs else None,
            STYLES[:1] if "style" in needs else (),
            mask=MASK if masked else None,
            style_masks=[MASK] if masked else (),
            start=STYLES[1] if config.start_picture else None,
            model=network(config.family) if config.name == "feedforward" else None,
        )
    )
    return image


def rules(config, path):
    values = {field: getattr(config, field) for field in type(config).model_fields}
    return [rule for rule in config.NO_EFFECT if rule.setting == path and rule.holds(values)]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path", "values", "without", "other"), TRIALS)
def test_a_setting_without_effect_leaves_every_pixel_alone(method, path, values, without, other):
    one, two = (settings(method, path, value, without) for value in values)
    assert rules(one, path)
    assert rules(two, path)
    assert np.array_equal(paint(one), paint(two))
    if other is not None:
        one, two = (settings(method, path, value, other) for value in values)
        assert not rules(one, path)
        first, second = paint(one), paint(two)
        assert first.shape != second.shape or not np.array_equal(first, second)


def test_every_rule_is_tried():
    tried = {(method, path) for method, path, *_ in TRIALS}
    of_all = {rule.setting for rule in PixelMethod.NO_EFFECT}
    for method, config in METHOD_CONFIGS.items():
        for rule in config.NO_EFFECT:
            known = rule.setting in UNTRIED or rule.setting in of_all  # what all methods have is tried with gatys
            assert (method, rule.setting) in tried or known


def test_rules_are_about_settings_that_exist():
    for config in METHOD_CONFIGS.values():
        for rule in config.NO_EFFECT:
            assert {rule.field, *rule.reads} <= config.model_fields.keys()


# ---- in a sweep ---------------------------------------------------------------------------------------------------
def sweep(text, method="gatys", contents=("c",), same=()):
    parsed = parse_manifest(f"name: x\ncontents: a\nstyles: b\nmethod: {method}\nsweep: {text}\n", "x.yaml")
    images = [ImageRef(name, f"{name}.png", ("c" if name in same else name) * 8) for name in contents]
    style = StyleRef("s", (ImageRef("s", "s.png", "s" * 8),), (1.0,))
    return expand(parsed, images, [style], dict.fromkeys(parsed.backbones(), "w"))


def test_two_seeds_without_noise_are_one_cell_with_the_id_of_the_first():
    cells = sweep("{seed: [5, 0]}")
    assert cells.ids == sweep("{}", "{name: gatys, seed: 5}").ids != sweep("{}").ids
    assert merge_reasons(cells) == {"seed has no effect with noise: 0, init other than noise": 1}
    assert make_plan("x", cells).to_json()["merged_because"] == merge_reasons(cells)


def test_a_setting_has_no_effect_at_some_points_only():
    cells = sweep("{noise: [0, 0.5], seed: [1, 2], init: [content, noise]}")
    # content without noise: 1; content with noise: 2 seeds; noise: 2 seeds at either value of `noise`
    assert len(cells) == 1 + 2 + 2
    whole = sweep("{pyramid: [{levels: 1}, {levels: 1, factor: 0.7}, {levels: 2}, {levels: 2, factor: 0.7}]}")
    assert list(whole.points) == [0, 2, 3]
    kinds = sweep("{tv_weight: [0, 1], tv: [squared, absolute], laplacian_pool: [2, 4]}")
    assert len(kinds) == 1 + 2
    assert merge_reasons(kinds).keys() == {
        "tv has no effect with tv_weight: 0",
        "laplacian_pool has no effect with laplacian_weight: 0",
        "tv has no effect with tv_weight: 0; laplacian_pool has no effect with laplacian_weight: 0",
    }


def test_an_excluded_point_does_not_stand_for_others():
    cells = sweep("{seed: [0, 1, 2], exclude: [{seed: 0}]}")
    assert [cells.cell(number).config.seed for number in range(len(cells))] == [1]
    assert (cells.excluded, cells.merged) == (1, 1)


def test_a_preset_may_give_a_setting_its_effect():
    cells = sweep("{preset: [gatys, pytorch], seed: [1, 2]}")
    seen = [(cells.cell(number).config.preset, cells.cell(number).config.seed) for number in range(len(cells))]
    expected = [
        (preset, seed)
        for preset in ("gatys", "pytorch")
        for seed in (1, 2)
        if seed == 1 or not rules(settings("gatys", "seed", 2, {"preset": preset}), "seed")
    ]
    assert seen == expected


def test_methods_that_have_an_effect_keep_their_cells():
    parsed = parse_manifest(
        "name: x\ncontents: a\nstyles: b\nmethods: [gatys, texture, mrf]\nsweep: {seed: [1, 2, 3]}\n", "x.yaml"
    )
    style = StyleRef("s", (ImageRef("s", "s.png", "s" * 8),), (1.0,))
    cells = expand(parsed, [ImageRef("c", "c.png", "c" * 8)], [style], dict.fromkeys(parsed.backbones(), "w"))
    assert cells.methods() == {"gatys": 1, "texture": 3, "mrf": 1}


def test_equal_images_under_two_names_are_one_cell_that_knows_both_names():
    cells = sweep("{style_weight: [1, 2], seed: [0, 1]}", contents=("b", "other", "c"), same=("b", "c"))
    assert len(cells) == 2 * 2
    assert merge_reasons(cells)[SAME_IMAGES] == 4
    named = {number: [content.name for content, _ in images] for number, images in aliases(cells).items()}
    assert named == {0: ["c"], 1: ["c"]}
    assert [cells.cell(number).content.name for number in range(4)] == ["b", "b", "other", "other"]
