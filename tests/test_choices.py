"""Every word that a setting may be is heard: each makes another picture, or another network, than the rest.

What a word does is the business of other tests; that it does anything is asserted here, for words to come as well.
Left out are `precision`, whose words differ in rounding alone, `units`, two of which have the same factors
(test_units), and the name of a backbone, whose layers have the names (test_backbones).
"""

from typing import Literal, get_args, get_origin

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, RANDOM, blocks, picture, request, run, small

from nst.backbones import build_backbone, random_weights
from nst.config import METHOD_CONFIGS
from nst.config.backbone import BackboneConfig
from nst.config.method import PixelMethod
from nst.config.training import TRAINING_CONFIGS
from nst.networks import NETWORKS, Origin, Painting, build_network
from nst.networks.adain import moments
from nst.pictures.masks import Labels

LEFT_OUT = {"precision", "units"}


def choices(model):
    """Yield the settings of a model that are one of several words, with the words."""
    for name, field in model.model_fields.items():
        if name not in LEFT_OUT and get_origin(field.annotation) is Literal and len(get_args(field.annotation)) > 1:
            yield name, get_args(field.annotation)


def ids(rows):
    return ["-".join(row[:-1]) for row in rows]


METHODS = {name: config for name, config in METHOD_CONFIGS.items() if issubclass(config, PixelMethod)}
LAYERED = {**dict.fromkeys(("gatys", "mrf", "mdan", "doodle"), LAYERS), "dream": {"layers": ["relu2_1"]},
           "invert": {"layer": "relu2_1"}, "texture": {"style_layers": ["relu1_1"]}}  # fmt: skip
OF_METHODS = [(method, *choice) for method, config in METHODS.items() for choice in choices(config)]
OF_METHODS += [(m, "optimizer", ("lbfgs", "adam")) for m, c in METHODS.items() if "optimizer" in c.model_fields]
HALVES = Labels("halves", ("#ff0000", "#0000ff"), np.repeat([[0, 1]], 20, 1).repeat(32, 0).astype(np.uint8))


@pytest.mark.parametrize(("method", "setting", "words"), OF_METHODS, ids=ids(OF_METHODS))
@pytest.mark.slow
def test_every_word_makes_another_picture(method, setting, words):
    # Much variation, so that every kind of it counts; few steps, after which optimisers and losses still differ.
    few = {"steps": 3, "pyramid": {"levels": 1}, "tv_weight": 30.0, **LAYERED.get(method, {})}
    masks = {"mask": HALVES, "style_masks": [HALVES]} if method == "doodle" else {}
    if setting == "energies":  # they convert weights in absolute units
        few["units"] = "crowsonkb"
    made = []
    for word in words:
        (result,) = run(request(small(METHODS[method], **few, **{setting: word}), CONTENT, [picture(1)], **masks))
        assert result.error is None
        made.append((result.image.shape, result.image.tobytes()))
    assert len(set(made)) == len(words)


OF_NETWORKS = [(family, *choice) for family, config in TRAINING_CONFIGS.items() for choice in choices(config)]


@pytest.mark.parametrize(("family", "setting", "words"), OF_NETWORKS, ids=ids(OF_NETWORKS))
@pytest.mark.slow
def test_every_word_makes_another_network(family, setting, words):
    photographs = torch.from_numpy(np.stack([blocks(seed) for seed in (1, 2)])).permute(0, 3, 1, 2) / 255
    few = {"width": 4, "residual_blocks": 1, "scales": 3, "mode": "stylize"}
    painted = []
    for word in words:
        model = TRAINING_CONFIGS[family]
        settings = {key: value for key, value in few.items() if key in model.model_fields}
        config = model(**{**settings, "backbone": RANDOM, setting: word})
        torch.manual_seed(0)
        encoder = build_backbone(config.backbone, [config.layer], None) if NETWORKS[family].encodes else None
        network = build_network(config, Origin(1, encoder, HALVES.colors))
        shares = torch.from_numpy(np.stack([HALVES.index, 1 - HALVES.index])).float().expand(2, -1, -1, -1)
        style = [(moments(network.encode(photographs[:1])), 1.0)] if NETWORKS[family].blends else []
        painting = Painting((32, 40), photographs, [1, 2], [{0: 1.0}] * 2, [style] * 2, shares)
        painted.append(network.paint(painting).detach().numpy().tobytes())
    assert len(set(painted)) == len(words)


OF_BACKBONES = [choice for choice in choices(BackboneConfig) if choice[0] != "name"]


@pytest.mark.parametrize(("setting", "words"), OF_BACKBONES, ids=ids(OF_BACKBONES))
def test_every_word_makes_another_backbone(setting, words):
    image = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    seen = []
    for word in words:
        config = BackboneConfig(**{"weights": "a.safetensors", setting: word})
        network = build_backbone(config, ["relu3_1"], random_weights(config.name, 0, "relu3_1"))
        seen.append(network(image)["relu3_1"].numpy().tobytes())
    assert len(set(seen)) == len(words)
