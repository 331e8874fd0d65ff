from __future__ import annotations

import hashlib
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst.config import METHOD_CONFIGS, GatysConfig
from nst.config.training import TRAINING_CONFIGS
from nst.identity import address, canonical, cell_id
from nst.records import Cell, ImageRef, MaskRef, OutputFormat, StyleRef

PNG = OutputFormat()
CONTENT = ImageRef("cat", "cat.jpg", hashlib.sha256(b"cat").hexdigest())
WAVE = ImageRef("wave", "wave.jpg", hashlib.sha256(b"wave").hexdigest())
STORM = ImageRef("storm", "storm.jpg", hashlib.sha256(b"storm").hexdigest())
STYLE = StyleRef("wave", (WAVE,), (1.0,))


def config(**settings_):
    return GatysConfig.model_validate({"name": "gatys", **settings_})


def identify(cfg=None, content=CONTENT, style=STYLE, weights="w", output=PNG):
    return cell_id(cfg or config(), content, style, weights, output)


def test_an_id_is_128_bits_in_hexadecimal():
    assert re.fullmatch(r"[0-9a-f]{32}", identify())


def test_a_config_read_back_from_its_own_values_has_the_same_id():
    cfg = config(size=256, optimizer="adam", backbone={"weights": "random"})
    assert identify(cfg) == identify(GatysConfig(**cfg.model_dump()))


@pytest.mark.parametrize(
    "change",
    [
        {"size": 511}, {"style_weight": 99}, {"seed": 1}, {"steps": 299}, {"optimizer": "adam"}, {"precision": "tf32"},
        {"optimizer": {"history": 21}}, {"backbone": {"name": "vgg16"}}, {"backbone": {"pooling": "average"}},
        {"style_layers": ["relu1_1"]}, {"pyramid": {"levels": 3}}, {"units": "paper"}, {"preset": "jcjohnson"},
        {"backbone": {"input": "caffe"}}, {"backbone": {"weights": "random"}},
    ],
)  # fmt: skip
def test_every_setting_that_changes_the_pixels_changes_the_id(change):
    assert identify(config(**change)) != identify()


@pytest.mark.parametrize(
    "change",
    [
        {"trace_every": 0}, {"style_weight": 100}, {"style_weight": 1e2}, {"optimizer": "lbfgs"}, {"tv_weight": 1},
        {"optimizer": {"history": 20.0}}, {"backbone": {"seed": 5}}, {"content_layers": ["relu4_2"]},
        {"style_layers": {f"relu{i}_1": 0.2 for i in (5, 4, 3, 2, 1)}}, {"noise": -0.0},
    ],
)  # fmt: skip
def test_spelling_order_and_bookkeeping_do_not(change):
    assert identify(config(**change)) == identify()


def test_a_preset_is_what_it_fills_in():
    filled = config(preset="jcjohnson")
    by_hand = config(**{k: v for k, v in filled.model_dump().items() if k != "preset"})
    assert identify(filled) == identify(by_hand)


def test_the_place_of_the_weights_is_nothing_and_their_digest_all():
    here, there = config(backbone={"weights": "a.pth"}), config(backbone={"weights": "s3://b/a.pth"})
    assert identify(here) == identify(there)
    assert identify(here) != identify(here, weights="other")


def test_the_seed_of_random_weights_counts():
    one, two = ({"weights": "random", "seed": seed} for seed in (1, 2))
    assert identify(config(backbone=one)) != identify(config(backbone=two))


def test_images_count_by_their_bytes_not_by_name_or_place():
    moved = ImageRef("other", "s3://b/other.jpg", CONTENT.digest)
    assert identify(content=moved) == identify()
    assert identify(content=WAVE) != identify()
    assert identify(content=None) != identify()
    assert identify(style=None) != identify()


def test_masks_count_by_their_bytes_and_by_what_they_lie_over():
    red, blue = MaskRef("red.png", "r" * 64), MaskRef("blue.png", "b" * 64)
    moved = MaskRef("s3://b/red.png", red.digest)

    def masked(content=None, style=None):
        return identify(
            content=ImageRef("cat", "cat.jpg", CONTENT.digest, content),
            style=StyleRef("wave", (ImageRef("wave", "wave.jpg", WAVE.digest, style),), (1.0,)),
        )

    assert masked() == identify()
    assert masked(red) == masked(moved)
    assert len({masked(), masked(red), masked(blue), masked(None, red), masked(red, red), masked(red, blue)}) == 6


def test_content_and_style_are_not_exchangeable():
    assert identify(content=WAVE, style=StyleRef("c", (CONTENT,), (1.0,))) != identify()


def test_a_mix_counts_by_shares_and_by_its_way_of_mixing():
    def mixed(weights, mix="targets", images=(WAVE, STORM)):
        return identify(style=StyleRef("m", images, weights, mix))

    assert mixed((2.0, 1.0)) == mixed((2 / 3, 1 / 3)) == mixed((4.0, 2.0))
    assert (
        len(
            {mixed((2.0, 1.0)), mixed((1.0, 2.0)), mixed((2.0, 1.0), "losses"), mixed((2.0, 1.0), images=(STORM, WAVE))}
        )
        == 4
    )


def test_a_sum_counts_by_its_weights_and_not_by_their_shares():
    def added(weights):
        return identify(style=StyleRef("m", (WAVE, STORM), weights, "sum"))

    shares = identify(style=StyleRef("m", (WAVE, STORM), (0.5, 0.5)))
    assert len({added((1.0, 1.0)), added((2.0, 2.0)), added((0.5, 0.5)), shares}) == 4


def test_a_mix_of_one_image_is_that_image():
    assert identify(style=StyleRef("m", (WAVE,), (3.0,), "losses")) == identify()


def test_the_format_counts_where_it_loses_something():
    assert identify(output=OutputFormat("png", 50)) == identify()
    jpeg = identify(output=OutputFormat("jpeg", 95))
    assert (
        len({identify(), jpeg, identify(output=OutputFormat("jpeg", 90)), identify(output=OutputFormat("webp", 95))})
        == 4
    )


def test_the_method_version_counts(monkeypatch):
    before = identify()
    monkeypatch.setattr(GatysConfig, "VERSION", 99)
    assert identify() != before


def test_a_revised_value_has_a_new_id_and_other_values_keep_theirs(monkeypatch):
    values = ("gram", "moments", "sliced")
    before = [identify(config(style_representation=value)) for value in values]
    monkeypatch.setattr(GatysConfig, "REVISED", {"style_representation": {"moments": 98, "sliced": 99}})
    versions = [config(style_representation=value, pyramid={"levels": 1}).version for value in values]
    assert versions == [GatysConfig.VERSION, 98, 99]
    after = [identify(config(style_representation=value)) for value in values]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]
    monkeypatch.setattr(GatysConfig, "VERSION", 100)  # a change of the whole method comes after those of its values
    assert len({config(style_representation=value).version for value in values}) == 1


@pytest.mark.parametrize("settings_", [*METHOD_CONFIGS.values(), *TRAINING_CONFIGS.values()])
def test_revised_values_are_values_of_the_structure(settings_):
    """The version of a batch is that of its structure, and a misspelt value would be found by no cell."""
    assert not settings_.REVISED.keys() & settings_.VARIES
    for field, versions in settings_.REVISED.items():
        words = get_args(settings_.model_fields[field].annotation)
        assert set(versions) <= set(words), field


def test_an_address_ignores_digests_and_version(monkeypatch):
    changed = ImageRef("cat", "cat.jpg", "0" * 64)
    here = address(Cell("x", CONTENT, STYLE, config()))
    monkeypatch.setattr(GatysConfig, "VERSION", 99)
    assert address(Cell("y", changed, STYLE, config())) == here
    monkeypatch.undo()
    moved = ImageRef("cat", "elsewhere/cat.jpg", CONTENT.digest)
    assert address(Cell("x", moved, STYLE, config())) != here
    assert address(Cell("x", CONTENT, STYLE, config(seed=3))) != here
    assert address(Cell("x", CONTENT, STYLE, config(backbone={"weights": "a.pth"}))) != here


@given(
    st.permutations(["size", "steps", "seed", "optimizer", "backbone"]),
    st.permutations(["name", "history", "max_move"]),
)
def test_the_order_of_keys_never_matters(outer, inner):
    block = {"name": "lbfgs", "history": 5, "max_move": 0.2}
    values = {"size": 99, "steps": 7, "seed": 3, "optimizer": {k: block[k] for k in inner}, "backbone": "vgg16"}
    assert identify(config(**{k: values[k] for k in outer})) == identify(config(**values))


def test_canonical_text_has_sorted_keys_and_no_negative_zero():
    assert (
        canonical({"b": [1, -0.0, None], "a": {"d": True, "c": "é"}})
        == '{"a":{"c":"\\u00e9","d":true},"b":[1,0.0,null]}'
    )


def test_canonical_text_refuses_what_json_lacks():
    with pytest.raises(ValueError, match="JSON"):
        canonical(float("nan"))


def test_ids_of_earlier_versions_stay(monkeypatch):
    """Recorded before there was a second method, when `gatys` had version 1: the way of hashing has not changed."""
    monkeypatch.setattr(GatysConfig, "VERSION", 1)
    style = StyleRef("s", (ImageRef("b", "b", "1" * 64),), (1.0,))
    for settings_, expected in (
        ({"optimizer": {"history": 20}, "pyramid": {"levels": 1}}, "8f82ea9e6b50316d7b593a4e947b19e9"),
        (
            {"units": "crowsonkb", "tv": "nine_point", "optimizer": "adam", "pyramid": {"levels": 1}},
            "5b4c83653d1f7fc7c6b71e4fd7226300",
        ),
    ):
        content = ImageRef("a", "a", "0" * 64)
        assert cell_id(GatysConfig(**settings_), content, style, "w", OutputFormat()) == expected
