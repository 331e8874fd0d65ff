"""`mix: sum`: the Gram matrices of several styles are added, as in G1 + G2, and no weight is a share."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from cells import CONTENT, STYLES, blocks, objective_of, picture, request, small
from sweeps import TINY, plan, run, write_pictures

from nst.config import DoodleConfig, GatysConfig, InvertConfig, MrfConfig, TextureConfig
from nst.pictures.masks import plain_labels
from nst.pictures.metrics import measure
from tasks.work.measuring import Measuring

MANIFEST = f"""\
name: added
contents: cat.png
styles: {{name: both, mix: MIX, images: [{{uri: waves.png, weight: 3}}, start.png]}}
method: {{name: gatys, {TINY}}}
"""
RED = plain_labels("#ff0000")
BRIEF = {"steps": 2, "pyramid": {"levels": 1}, "precision": "float64"}


def test_the_row_tells_what_multiplies_the_gram_matrices(tmp_path):
    added, averaged = (
        run(plan(write_pictures(tmp_path), MANIFEST.replace("MIX", mix)))[0] for mix in ("sum", "targets")
    )
    assert (added["style_mix"], json.loads(added["style_weights"])) == ("sum", [3.0, 1.0])
    assert (averaged["style_mix"], json.loads(averaged["style_weights"])) == ("targets", [0.75, 0.25])
    assert added["cell_id"] != averaged["cell_id"]
    assert added["address"] != averaged["address"]


@pytest.mark.parametrize("masks", [{}, {"mask": RED, "style_masks": (RED, RED)}])
def test_shares_that_add_up_to_one_are_the_average(masks):
    config = small(GatysConfig, **BRIEF, style_layers=["relu1_1"], content_layers=["relu1_1"])
    cells = {
        (mix, weights): request(config, CONTENT, STYLES[:2], weights, mix=mix, **masks)
        for mix, weights in (("sum", (0.5, 0.5)), ("targets", (1.0, 1.0)), ("sum", (1.0, 1.0)))
    }
    image = blocks(5, 32, 40)
    half, average, whole = (style_loss(cell, image) for cell in cells.values())
    assert half == pytest.approx(average, rel=1e-9)
    assert abs(whole - average) > 0.01


def style_loss(cell, image):
    """The style loss of a picture in relative units, by the method's own objective."""
    pictures = torch.from_numpy(image.transpose(2, 0, 1)[None] / 255.0)
    losses, _ = objective_of(cell).with_gradient(pictures)
    return losses.part("style").item() / cell.config.style_weight


def test_methods_and_settings_that_compare_gram_matrices_add():
    assert GatysConfig().adds_styles
    assert TextureConfig().adds_styles
    assert DoodleConfig().adds_styles
    assert InvertConfig(what="style").adds_styles
    others = [GatysConfig(style_representation=name) for name in ("moments", "sliced", "histogram")]
    others += [MrfConfig(), DoodleConfig(how="patches"), InvertConfig()]
    assert not any(config.adds_styles for config in others)


def test_the_palette_is_compared_by_shares():
    styles, image = (picture(2, 36, 36), picture(3, 36, 36)), blocks(5, 32, 24)
    cell = request(GatysConfig(), CONTENT, styles, (6.0, 2.0), mix="sum")
    shares = measure(image, CONTENT.array, [style.array for style in styles], (0.75, 0.25))
    assert Measuring().measure(image, cell) == shares
    assert not np.isnan(list(shares.values())).any()
