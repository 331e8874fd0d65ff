"""`scale` of a style image: its size beside the sizes of the others, in a mix or alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from cells import CONTENT, STYLES, farthest, picture, request, small
from cells import run as run_batch
from sweeps import TINY, plan, run, write_pictures

from nst.config import DoodleConfig, GatysConfig, InvertConfig, MrfConfig, TextureConfig
from nst.pictures.masks import plain_labels

MANIFEST = f"""\
name: scaled
contents: cat.png
styles: %s
method: {{name: gatys, {TINY}}}
"""
RED = plain_labels("#ff0000")


def of_styles(config, *styles, content=CONTENT, **given):
    (result,) = run_batch(request(config, content, styles, **given))
    assert result.error is None
    return result.image


@pytest.mark.parametrize(
    ("method", "changes", "given"),
    [
        (GatysConfig, {"init": "style", "noise": 1.0}, {}),
        (GatysConfig, {"noise": 1.0}, {"mask": RED, "style_masks": (RED,)}),
        (MrfConfig, {"init": "noise", "pyramid": {"levels": 1}, "style_layers": ["relu1_1"]}, {}),
        (DoodleConfig, {"pyramid": {"levels": 1}}, {"mask": RED, "style_masks": (RED,)}),
        (DoodleConfig, {"pyramid": {"levels": 1}, "how": "patches", "style_layers": ["relu2_1"]},
         {"mask": RED, "style_masks": (RED,)}),
    ],
)  # fmt: skip
def test_an_image_at_half_the_size_is_the_image_of_half_a_style_scale(method, changes, given):
    halved = replace(picture(7, 60, 60), scale=0.5)
    small_settings = {"steps": 2, **changes}
    of_scale = of_styles(small(method, style_scale=1.0, **small_settings), halved, **given)
    of_setting = of_styles(small(method, style_scale=0.5, **small_settings), replace(halved, scale=1.0), **given)
    assert farthest(of_scale, of_setting) == 0
    of_whole = of_styles(small(method, style_scale=1.0, **small_settings), replace(halved, scale=1.0), **given)
    assert farthest(of_scale, of_whole) > 0


@pytest.mark.parametrize("method", [TextureConfig, InvertConfig])
def test_methods_without_a_style_scale_size_their_images_too(method):
    changes = {"what": "style", "layer": "relu2_1"} if method is InvertConfig else {"style_layers": ["relu2_1"]}
    config = small(method, steps=2, **changes)
    style = picture(7, 60, 60)
    assert farthest(*(of_styles(config, replace(style, scale=scale), content=None) for scale in (1.0, 0.5))) > 0


@pytest.mark.parametrize("method", [GatysConfig, MrfConfig])
def test_cells_of_one_batch_may_size_the_same_image_differently(method):
    config = small(method, steps=2, pyramid={"levels": 1}, style_layers=["relu1_1"], precision="float64")
    cells = [request(config, CONTENT, [replace(STYLES[0], scale=scale)], cell_id=str(scale)) for scale in (1.0, 0.5)]
    for together, cell in zip(run_batch(*cells), cells, strict=True):
        (alone,) = run_batch(cell)
        assert farthest(together.image, alone.image) <= 1


def test_each_image_of_a_mix_has_its_size_on_record(tmp_path):
    mix = "{name: mix, images: [{uri: waves.png, scale: 0.5}, {uri: start.png}]}"
    plain = mix.replace(", scale: 0.5", "")
    scaled, same = (run(plan(write_pictures(tmp_path), MANIFEST % styles))[0] for styles in (mix, plain))
    assert json.loads(scaled["style_scales"]) == [0.5, 1.0]
    assert same["style_scales"] is None
    assert scaled["cell_id"] != same["cell_id"]
    assert scaled["address"] != same["address"]
    assert scaled["style_loss"] != same["style_loss"]


def test_a_scale_of_one_changes_no_id(tmp_path):
    ids = plan(write_pictures(tmp_path), MANIFEST % "waves.png").plan.cells.ids
    assert plan(tmp_path, MANIFEST % "{uri: waves.png, scale: 1}").plan.cells.ids == ids
    assert plan(tmp_path, MANIFEST % "{uri: waves.png, scale: 2}").plan.cells.ids != ids


def test_the_same_image_at_two_sizes_is_two_styles(tmp_path):
    styles = "[{uri: waves.png, name: fine, scale: 0.5}, {uri: waves.png, name: coarse, scale: 2}]"
    fine, coarse = run(plan(write_pictures(tmp_path), MANIFEST % styles))
    assert (fine["style_name"], coarse["style_name"]) == ("fine", "coarse")
    assert not np.isclose(fine["style_loss"], coarse["style_loss"])
