"""Every manifest that ships is read, multiplied out and planned."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from nst.manifest.declaration import read_declaration
from nst.manifest.schema import json_schema, training_schema
from nst.manifest.sweep import parse_manifest
from nst.manifest.training import check_train_manifest
from nst.planning.batches import make_plan
from nst.planning.cells import expand
from nst.planning.models import models_of
from nst.records import ImageRef, StyleRef
from nst.yaml.text import load

ROOT = Path(__file__).parents[1] / "manifests"
FILES = sorted(ROOT.rglob("*.yaml"))
TRAININGS = [file for file in FILES if read_declaration(file.read_text(), file.name).kind == "train"]
SWEEPS = [file for file in FILES if file not in TRAININGS]
VALIDATORS = [jsonschema.Draft202012Validator(schema()) for schema in (training_schema, json_schema)]


def images(*names):
    return [ImageRef(name, f"{name}.jpg", (name.encode().hex() * 64)[:64]) for name in names]


def test_there_are_manifests_to_learn_from():
    assert len(SWEEPS) >= 5
    assert len(TRAININGS) >= 4
    assert all(file in TRAININGS for file in FILES if file.parent.name == "nightly")
    assert ROOT / "quickstart.yaml" in FILES


@pytest.mark.parametrize("file", SWEEPS, ids=lambda file: str(file.relative_to(ROOT)))
def test_parses_and_plans(file):
    manifest = parse_manifest(file.read_text(), str(file), lambda uri: (file.parent / uri).read_text())
    styles = [StyleRef(ref.name, (ref,), (1.0,)) for ref in images("glass", "swirls")]
    cells = expand(manifest, images("launch", "chelsea"), styles, dict.fromkeys(manifest.backbones(), "w"))
    plan = make_plan(manifest.name, cells)
    assert plan.to_do == len(cells) > 1
    assert sum(len(batch.cells) for batch in plan.batches()) == len(cells)
    json.dumps(plan.to_json())


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_is_named_like_its_file_and_explained(file):
    text = file.read_text()
    assert load(text, file.name).value["name"] == file.stem
    assert text.startswith("# ")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_satisfies_the_json_schema(file):
    own, other = VALIDATORS if file in TRAININGS else VALIDATORS[::-1]
    value = load(file.read_text(), file.name).value
    own.validate(value)
    assert not other.is_valid(value)


@pytest.mark.parametrize("file", TRAININGS, ids=lambda file: str(file.relative_to(ROOT)))
def test_makes_models(file):
    read_base, fastest = (lambda uri: (file.parent / uri).read_text()), (lambda: "float32")
    manifest = check_train_manifest(read_declaration(file.read_text(), str(file), read_base, fastest=fastest))
    specs = [
        spec
        for config in manifest.configs
        for spec in models_of(manifest.name, config, images("glass", "swirls"), data="d", weights_digest="w")
    ]
    ids = {spec.model_id for spec in specs}
    assert len(ids) == len(specs) >= 1
    one_each = any(config.most_styles == 1 for config in manifest.configs)
    assert len(ids) == len(manifest.configs) * (2 if one_each else 1)


def test_the_quickstart_is_12_cells_that_need_no_download():
    manifest = parse_manifest((ROOT / "quickstart.yaml").read_text(), "quickstart.yaml")
    assert len(manifest.contents) * len(manifest.styles) * len(manifest.variants) == 12
    assert {backbone.weights for backbone in manifest.backbones()} == {"embedded"}
