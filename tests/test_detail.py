"""Coarse to fine without loss of detail: a level starts from the one before, and what only its size shows of the start.

The identity test is that of Galerne et al. 2024 (Scaling Painting Style Transfer): a painting in its own style stays.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cells import STYLES, picture, pictures_of, request, small, workspace
from skimage.metrics import structural_similarity

from nst.config import DoodleConfig, GatysConfig, MdanConfig, MrfConfig, TextureConfig
from nst.methods import stylize_batch
from nst.methods.start import start_detail, starting_pictures
from nst.ops import resize
from nst.paintings.swirls import swirls
from nst.pictures.images import Pixels
from tasks.work.calibration import packaged_weights

CPU = torch.device("cpu")
LEVELS = {"pyramid": {"levels": 3}}
NOTHING = {"content_weight": 0, "style_weight": 0, "tv_weight": 0, "steps": 1}
SHALLOW = {"content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}


def test_what_is_small_and_enlarged_is_whole_again_with_its_detail():
    sources = [(picture(3, 60, 80), 0.0, 0), (picture(4, 60, 80), 0.25, 7)]
    detail = start_detail(sources, (64, 48), (16, 12), CPU, torch.float64)
    large, small_ = (starting_pictures([(image, 0.0, 0) for image, _, _ in sources], *size, CPU, torch.float64)
                     for size in ((64, 48), (16, 12)))  # fmt: skip
    torch.testing.assert_close(resize(small_[:1], 48, 64) + detail[:1], large[:1])
    torch.testing.assert_close(detail[1:] / 0.75 + resize(small_[1:], 48, 64), large[1:])


@pytest.mark.parametrize("method", [GatysConfig, MrfConfig])
def test_a_picture_that_nothing_moves_ends_as_its_content(method):
    """Without terms nothing is optimised: what was enlarged twice was a blur."""
    (found,) = pictures_of(request(small(method, **NOTHING, **SHALLOW, **LEVELS), picture(5), [STYLES[0]]))
    np.testing.assert_allclose(found.astype(int), picture(5).array.astype(int), atol=1)


def test_a_painting_in_its_own_style_stays_itself():
    painting = Pixels("swirls", swirls(160, 1))
    config = GatysConfig(size=160, steps=12, backbone={"weights": "embedded"}, **LEVELS)
    place = workspace(packaged_weights(config.backbone))
    (found,) = stylize_batch([request(config, painting, [painting])], place)
    assert structural_similarity(found.image, painting.array, channel_axis=2) > 0.9


@pytest.mark.parametrize(
    ("config", "version"),
    [
        (small(GatysConfig, **LEVELS), 5),
        (small(MrfConfig, **LEVELS), 5),
        (small(DoodleConfig, init={"uri": "a.png"}, **LEVELS), 5),
        (small(GatysConfig, pyramid={"levels": 1}), 4),
        (small(GatysConfig, init="noise", **LEVELS), 4),
        (small(DoodleConfig, **LEVELS), 4),
        (small(MdanConfig, **LEVELS), 4),
        (TextureConfig(backbone={"weights": "random"}, **LEVELS), 4),
    ],
)
def test_only_what_it_changes_has_another_version(config, version):
    assert config.version == version
