"""Cells and models keep their ids: tests/golden/ids.json was written by nst 0.1.0, before the house was rebuilt.

A setting that is added without a word in `ADDED_LATER`, a default that moves or a way of hashing that changes makes
every picture ever made "new" and lets nightly sweeps compute all of them again. A version that is raised on purpose
changes ids, too: then the line of that method, and no other, is written anew.
"""

import json
from pathlib import Path

import pytest

from nst.config import METHOD_CONFIGS, GatysConfig
from nst.config.training import TRAINING_CONFIGS
from nst.identity import cell_id
from nst.planning.models import model_id
from nst.records import ImageRef, MaskRef, OutputFormat, StyleRef

GOLDEN = json.loads((Path(__file__).parent / "golden/ids.json").read_text())

ONE_LEVEL = {"pyramid": {"levels": 1}}  # the default of `gatys` and `texture` when the ids were written
REQUIRED = {"feedforward": {"model": "m.safetensors"}, "gatys": ONE_LEVEL, "texture": ONE_LEVEL}
CONTENT, WAVE, STORM = (ImageRef(name, f"{name}.png", name * 8) for name in ("c", "w", "s"))
PNG = OutputFormat()
STYLE = StyleRef("wave", (WAVE,), (1.0,))
MIX = StyleRef("mix", (WAVE, STORM), (1.0, 3.0), "targets")


def gatys(output=PNG, content=CONTENT, style=STYLE, **settings):
    one_level = {} if "preset" in settings else ONE_LEVEL
    return cell_id(GatysConfig.model_validate({**one_level, **settings}), content, style, "w" * 64, output)


def ids():
    found = {}
    for name, model in METHOD_CONFIGS.items():
        config = model.model_validate({"name": name, **REQUIRED.get(name, {})})
        found[name] = cell_id(config, CONTENT, STYLE, "w" * 64, PNG)
    for family, config in TRAINING_CONFIGS.items():
        found[f"train/{family}"] = model_id(config(family=family), ["w" * 8], data="d" * 64, weights_digest="w" * 64)
    found["gatys/jpeg"] = gatys(OutputFormat("jpeg", 90))
    found["gatys/mix"] = gatys(style=MIX)
    found["gatys/no-content"] = gatys(content=None, style=STYLE)
    found["gatys/mask"] = gatys(content=ImageRef("c", "c.png", "c" * 8, MaskRef("m.png", "m" * 8)))
    found["gatys/random"] = gatys(backbone={"name": "vgg16", "weights": "random", "seed": 3})
    for preset in ("gatys", "jcjohnson", "crowsonkb", "pytorch"):
        found[f"gatys/{preset}"] = gatys(preset=preset)
    return found


@pytest.mark.parametrize("name", GOLDEN)
def test_an_id_stays(name):
    assert ids()[name] == GOLDEN[name]


def test_every_method_and_family_is_held():
    assert ids().keys() == GOLDEN.keys()
