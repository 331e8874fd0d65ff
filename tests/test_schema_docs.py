from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest

from nst.config import METHOD_CONFIGS
from nst.manifest.blocks import Budget, ContentSpec, ManifestBlock, MixImage, Output, StyleSpec
from nst.manifest.methods import paths
from nst.manifest.schema import json_schema, training_schema
from nst.manifest.training import TrainBlock, TrainStyle
from nst.yaml.text import load

pytestmark = pytest.mark.slow

ZOO = Path(__file__).parent / "bad_manifests"
BY_SHAPE = [
    "unknown_key", "unknown_setting", "unknown_nested", "enum_typo", "optimizer_typo", "out_of_range", "booleans",
    "method_unknown", "method_list", "kind_unknown", "no_contents", "output", "budget", "sweep_list", "axis_unknown",
    "axis_empty", "range_incomplete", "zip_of_one", "missing_keys", "setting_at_top",
]  # fmt: skip


@pytest.mark.parametrize("make", [json_schema, training_schema])
def test_the_schema_is_valid(make):
    jsonschema.Draft202012Validator.check_schema(make())


@pytest.mark.parametrize("name", BY_SHAPE)
def test_the_schema_refuses_what_it_can_see(name):
    data = load((ZOO / f"{name}.yaml").read_text(), name).value
    assert not jsonschema.Draft202012Validator(json_schema()).is_valid(data)


@pytest.mark.parametrize(
    "method",
    [
        "gatys", {"name": "gatys"}, {"name": "gatys", "optimizer": "adam"}, {"name": "gatys", "backbone": "vgg16"},
        {"name": "gatys", "style_layers": ["relu1_1"]}, {"name": "gatys", "style_layers": {"relu1_1": 1}},
        {"name": "gatys", "content_layers": "relu4_2"}, {"name": "gatys", "optimizer": {"name": "adam", "ema": 0.5}},
    ],
)  # fmt: skip
def test_the_schema_knows_the_short_forms(method):
    jsonschema.validate({"name": "x", "contents": "a", "styles": {"uri": "b"}, "method": method}, json_schema())


def test_a_manifest_that_extends_may_leave_out_the_rest():
    jsonschema.validate({"extends": "base.yaml"}, json_schema())


def test_every_axis_is_offered_to_editors():
    axes = json_schema()["properties"]["sweep"]["properties"]
    assert set(axes) == {"zip", "exclude"} | {p for model in METHOD_CONFIGS.values() for p in paths(model) - {"name"}}


BLOCKS = (ManifestBlock, ContentSpec, StyleSpec, MixImage, Budget, Output, TrainBlock, TrainStyle)


def test_every_key_of_the_manifest_has_a_meaning():
    for model in BLOCKS:
        assert [name for name, info in model.model_fields.items() if not info.description] == []
