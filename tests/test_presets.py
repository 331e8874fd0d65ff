"""Presets: other implementations' settings under what the manifest gives."""

from __future__ import annotations

import math

import pytest

from nst.config import GatysConfig, TextureConfig
from nst.config.presets import PRESETS
from nst.manifest.sweep import parse_manifest


def test_a_preset_fills_in_only_what_is_not_given():
    config = GatysConfig(preset="jcjohnson", style_weight=7, steps=5)
    assert (config.style_weight, config.content_weight, config.steps, config.init) == (7, 5, 5, "noise")
    assert config.units == "jcjohnson"


def test_a_block_of_the_same_network_or_optimiser_keeps_the_rest_of_the_presets():
    assert GatysConfig(preset="pytorch", backbone={"weights": "random"}).backbone.name == "vgg16"
    optimizer = GatysConfig(preset="crowsonkb", optimizer={"name": "adam", "ema": 0.5}).optimizer
    assert (optimizer.name, optimizer.ema, optimizer.beta2) == ("adam", 0.5, 0.99)
    pyramid = GatysConfig(preset="crowsonkb", pyramid={"levels": 2}).pyramid
    assert (pyramid.levels, pyramid.first_steps) == (2, 1000)


CAFFE = [{"weights": "caffe.pth"}, {"weights": "caffe.pth", "input": "caffe_bgr"}]
TORCHVISION = [{}, {"weights": "torchvision"}, {"weights": "mine.pth"}]
NEVER = [{"weights": "random"}, {"weights": "embedded"}, {"weights": "draft"}]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_weights_are_converted_unless_the_network_is_the_authors(name):
    """gatys and jcjohnson use Caffe's VGG-19, crowsonkb and pytorch/examples torchvision's VGG-19 and VGG-16."""
    own, others = (CAFFE, TORCHVISION[:2]) if name in {"gatys", "jcjohnson"} else (TORCHVISION, CAFFE[1:])
    assert {GatysConfig(preset=name, backbone=backbone).energies for backbone in own} == {"own"}
    assert {GatysConfig(preset=name, backbone=backbone).energies for backbone in [*others, *NEVER]} == {"author"}
    assert GatysConfig(preset=name, backbone={"weights": "draft"}, energies="own").energies == "own"
    assert GatysConfig(preset=name, units="relative").energies == "own"


def test_a_file_of_weights_is_taken_for_the_authors():
    assert GatysConfig(preset="jcjohnson", backbone={"weights": "caffe.pth"}).backbone.input == "caffe"
    assert GatysConfig(preset="crowsonkb", backbone={"weights": "mine.pth"}).backbone.input == "torchvision"
    assert GatysConfig(preset="jcjohnson").backbone.input == "torchvision"  # its weights are torchvision's


def test_layers_that_distilled_weights_lack_are_left_out_of_a_preset():
    """`embedded` ends at relu4_1; of five layers of weight 1 four remain, with the same sum."""
    config = GatysConfig(preset="jcjohnson", backbone={"weights": "embedded"})
    assert config.style_layers == dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 1.25)
    assert config.content_layers == {"relu4_1": 1.0}
    config = GatysConfig(preset="pytorch", backbone={"weights": "embedded"})
    assert (config.backbone.name, config.content_layers) == ("vgg19", {"relu2_2": 1.0})
    assert list(config.style_layers) == ["relu1_2", "relu2_2", "relu3_3"]


def test_another_block_by_name_replaces_the_presets_whole():
    assert GatysConfig(preset="crowsonkb", optimizer={"name": "lbfgs"}).optimizer.history == 20
    assert GatysConfig(preset="jcjohnson", optimizer="adam").optimizer.name == "adam"
    assert GatysConfig(preset="gatys", style_layers=["relu1_1"]).style_layers == {"relu1_1": 1.0}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_valid(name):
    assert GatysConfig(preset=name).units == name


def test_the_figures_are_the_authors():
    """Those of crowsonkb: five sizes from 128 to 512 by the square root of two; layer weights from 256 to 1."""
    config = GatysConfig(preset="crowsonkb", size=512)
    coarsest = 512 * config.pyramid.factor ** (config.pyramid.levels - 1)
    assert coarsest == pytest.approx(128)
    assert math.isclose(sum(config.style_layers.values()), 1)
    assert config.style_layers["relu1_1"] / config.style_layers["relu5_1"] == pytest.approx(256)


def test_a_pyramid_that_is_not_named_has_two_levels_where_the_picture_is_large():
    assert GatysConfig().pyramid.levels == 2
    assert GatysConfig(size="original").pyramid.levels == 2
    assert (GatysConfig(size=128).pyramid.levels, GatysConfig(size=127).pyramid.levels) == (2, 1)
    assert TextureConfig(size=64).pyramid.levels == 1
    assert TextureConfig(size=64, width=128).pyramid.levels == 2
    assert GatysConfig(pyramid={"levels": 1}).pyramid.levels == 1
    for preset in set(PRESETS) - {"crowsonkb"}:
        assert GatysConfig(preset=preset).pyramid.levels == 1
    assert GatysConfig(preset="crowsonkb", size=64).pyramid.levels == 5


def test_a_sweep_over_sizes_takes_the_pyramid_of_each_size():
    manifest = parse_manifest(
        "name: x\ncontents: a.png\nstyles: b.png\nmethod: gatys\nsweep: {size: [64, 256], style_weight: [1, 2]}\n", "m"
    )
    found = [(c.size, c.pyramid.levels) for c in map(manifest.variants.config, range(len(manifest.variants)))]
    assert sorted(found) == [(64, 1), (64, 1), (256, 2), (256, 2)]
