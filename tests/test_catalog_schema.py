from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from nst.config import METHOD_CONFIGS
from nst.config.gatys import GatysConfig
from nst.config.training import TRAINING_CONFIGS
from nst.manifest.methods import paths
from nst.pictures.metrics import METRICS
from tasks.catalog import Catalog, parameters
from tasks.catalog.columns import LAYERS
from tasks.catalog.reference import catalog_reference
from tasks.catalog.schema import SCHEMAS, Table
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


def test_every_column_is_described_and_named_like_a_yaml_key() -> None:
    text = catalog_reference()
    for table in SCHEMAS.values():
        for column in table.columns.values():
            assert re.fullmatch(r"[a-z][a-z0-9_]*", column.name), (table.name, column)
            assert column.type in {"string", "int64", "float64", "bool", "timestamp"}
            assert len(column.description) > 4, (table.name, column)
            assert f"| `{column.name}` |" in text


def test_settings_become_columns_under_their_yaml_keys() -> None:
    columns = {c.name: c.type for c in parameters.columns()}
    expected = {
        "size": "int64", "style_weight": "float64", "seed": "int64", "preset": "string", "content_layers": "string",
        "optimizer": "string", "optimizer_history": "int64", "optimizer_learning_rate": "float64",
        "pyramid_levels": "int64", "pyramid_first_steps": "int64", "pyramid_warm_start": "bool", "backbone": "string",
        "backbone_weights": "string", "backbone_seed": "int64", "precision": "string", "style_representation": "string",
    }  # fmt: skip
    assert expected.items() <= columns.items()
    assert "method" not in columns


@pytest.mark.parametrize("method", METHOD_CONFIGS)
def test_a_row_holds_every_setting_of_its_method_as_the_manifest_has_it(method: str, tmp_path: Path) -> None:
    config = METHOD_CONFIGS[method]()
    catalog = Catalog(open_store(tmp_path))
    catalog.commit("results", "sweep", "batch", [{"cell_id": "cell", **parameters.flatten(config)}])
    catalog.publish("results")
    (row,) = catalog.read("results").to_pylist()
    assert row["method"] == method
    for key, value in config.model_dump(mode="json", exclude={"name"}).items():
        if left_out := {
            "early_stop": ("tolerance", "patience"),
            "finish": ("model",),
            "guided_filter": ("radius", "epsilon"),
        }.get(key):
            assert value is None
            assert [row[f"{key}_{part}"] for part in left_out] == [None] * len(left_out)
            continue
        if key in {"optimizer", "pyramid", "backbone", "video"}:
            found = {part: row[key if part == "name" else f"{key}_{part}"] for part in value}
            found = {part: json.loads(kept) if part == "reach" else kept for part, kept in found.items()}
        else:
            found = json.loads(row[key]) if isinstance(value, dict | list) else row[key]
        assert found == value, key


def test_flattened_settings_say_what_was_configured() -> None:
    config = GatysConfig.model_validate({"optimizer": {"name": "adam", "ema": 0.5}, "content_layers": ["relu2_2"]})
    flat = parameters.flatten(config)
    assert flat["optimizer"] == "adam"
    assert flat["optimizer_ema"] == 0.5
    assert "optimizer_history" not in flat
    assert json.loads(str(flat["content_layers"])) == {"relu2_2": 1.0}
    assert flat["style_representation"] == "gram"


def test_a_block_that_may_be_left_out_has_columns_of_its_own() -> None:
    stopping = parameters.flatten(GatysConfig.model_validate({"early_stop": {"patience": 7}}))
    assert (stopping["early_stop_tolerance"], stopping["early_stop_patience"]) == (0.001, 7)
    assert not [key for key in parameters.flatten(GatysConfig()) if key.startswith("early_stop")]


def test_a_word_in_place_of_a_number_or_a_block_is_null_in_the_column_of_the_other() -> None:
    given = parameters.flatten(GatysConfig.model_validate({"size": "original", "init": {"uri": "a.png"}}))
    assert (given["size"], given["init_uri"]) == (None, "a.png")
    assert "init" not in given
    assert parameters.flatten(GatysConfig())["init"] == "content"


def test_losses_have_a_column_for_every_rectified_layer_of_vgg19() -> None:
    assert len(LAYERS) == 16
    assert {"relu1_1", "relu3_4", "relu4_2", "relu5_4"} <= set(LAYERS)
    assert {f"style_loss_{layer}" for layer in LAYERS} <= SCHEMAS["results"].columns.keys()


def test_every_metric_has_a_column() -> None:
    assert METRICS.keys() <= SCHEMAS["results"].columns.keys()


def test_what_failed_has_the_identity_and_settings_of_what_was_done() -> None:
    results, failures = (SCHEMAS[name].columns for name in ("results", "failures"))
    only = failures.keys() - results.keys()
    assert only == {"failed_at", "error_class", "error_message", "error_where", "evidence_uri"}


def test_every_setting_and_metric_of_a_training_has_a_column() -> None:
    columns = SCHEMAS["models"].columns
    settings = {path.replace(".", "_") for model in TRAINING_CONFIGS.values() for path in paths(model)}
    settings -= {"deconvolution"}  # a block without a name has columns for what is in it
    assert {name.removesuffix("_name") for name in settings} <= {name.removesuffix("_name") for name in columns}
    assert {f"validation_{name}" for name in METRICS} <= columns.keys()


def test_two_columns_of_one_name_are_refused() -> None:
    column = next(iter(SCHEMAS["traces"].columns.values()))
    with pytest.raises(ValueError, match="two columns 'cell_id'"):
        _ = Table("t", "", lambda: (column, column), ("cell_id",)).columns


def test_methods_must_agree_on_the_type_of_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(BaseModel):
        name: str = "other"
        size: str = "large"

    monkeypatch.setitem(METHOD_CONFIGS, "other", Other)
    parameters.columns.cache_clear()
    with pytest.raises(TypeError, match="size"):
        parameters.columns()
    parameters.columns.cache_clear()
