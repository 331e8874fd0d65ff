from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nst.errors import ManifestError
from nst.manifest.sweep import parse_manifest
from nst.records import OutputFormat

HEAD = "name: x\ncontents: a.jpg\nstyles: b.jpg\n"
WHOLE = """
name: tuebingen
contents: [photos/*.jpg, {uri: s3://b/x.png, name: night}]
styles:
  - paintings/wave.jpg
  - {name: storm, mix: losses, images: [{uri: a.jpg, weight: 2}, b.jpg]}
method: {name: gatys, size: 128, optimizer: adam}
sweep:
  style_weight: [10, 100]
  content_weight: {from: 1, to: 100, num: 5, scale: log}
  seed: {count: 4}
  backbone.pooling: [max, average]
  zip: [{tv_weight: [1, 10], steps: [100, 200]}]
  exclude: [{style_weight: 10, seed: 2}, {content: night, style: wave}]
budget: {cells: 1000, hours: 2}
output: {format: jpeg, quality: 90}
batch_size: 3
"""


def parse(text, **bases):
    return parse_manifest(text, "x.yaml", lambda uri: bases[uri.removesuffix(".yaml")])


def problems(text, **bases):
    with pytest.raises(ManifestError) as caught:
        parse(text, **bases)
    return caught.value.problems


def test_a_whole_manifest():
    manifest = parse(WHOLE)
    assert manifest.name == "tuebingen"
    assert [(content.uri, content.name) for content in manifest.contents] == [
        ("photos/*.jpg", None),
        ("s3://b/x.png", "night"),
    ]
    assert manifest.styles[0].uri == "paintings/wave.jpg"
    storm = manifest.styles[1]
    assert (storm.name, storm.mix, [(i.uri, i.weight) for i in storm.images]) == (
        "storm",
        "losses",
        [("a.jpg", 2), ("b.jpg", 1)],
    )
    assert manifest.variants.config(0).name == "gatys"
    assert len(manifest.variants) == 2 * 5 * 4 * 2 * 2
    assert sum(manifest.sweep.excluded()) == 1 * 5 * 1 * 2 * 2
    assert manifest.variants.config(0).size == 128
    assert manifest.variants.config(0).optimizer.name == "adam"
    assert (manifest.budget.cells, manifest.budget.hours) == (1000, 2)
    assert manifest.output == OutputFormat("jpeg", 90)
    assert manifest.batch_size == 3


def test_short_forms():
    manifest = parse(HEAD + "method: gatys")
    assert [content.uri for content in manifest.contents] == ["a.jpg"]
    assert [style.uri for style in manifest.styles] == ["b.jpg"]
    assert len(manifest.variants) == 1
    assert manifest.budget.cells == 10_000
    assert manifest.variants.values(0) == {}


def test_backbones_are_listed_once():
    sweep = "sweep: {style_weight: [1, 2], backbone: [{weights: random}, vgg16, {name: vgg16}]}"
    with pytest.raises(ManifestError):
        parse(HEAD + "method: gatys\nsweep: {backbone: [vgg16, vgg16]}")
    backbones = parse(HEAD + f"method: gatys\n{sweep}").backbones()
    assert [(b.name, b.weights) for b in backbones] == [("vgg19", "random"), ("vgg16", "torchvision")]


def test_a_preset_fills_only_what_the_manifest_leaves_out():
    sweep = "sweep: {preset: [gatys, crowsonkb], style_weight: [7]}"
    variants = parse(HEAD + f"method: {{name: gatys, steps: 9}}\n{sweep}").variants
    configs = [variants.config(i) for i in range(2)]
    assert [c.units for c in configs] == ["gatys", "crowsonkb"]
    assert [c.steps for c in configs] == [9, 9]
    assert [c.style_weight for c in configs] == [7, 7]
    assert [c.style_representation for c in configs] == ["gram", "moments"]


def test_an_error_crosses_processes_with_its_problems():
    import pickle

    with pytest.raises(ManifestError) as caught:
        parse("nme: 3")
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.problems == caught.value.problems


def test_problems_are_bounded():
    found = problems(
        HEAD + "method: gatys\nsweep: {style_weight: [" + ", ".join(f"-{i}" for i in range(1, 5000)) + "]}"
    )
    assert len(found) == 100


def test_a_long_axis_beside_a_fault_does_not_take_long():
    """Every one of its values fails validation, since the fault is in the settings that they share."""
    text = HEAD + "method: {name: gatys, sise: 3}\nsweep: {seed: {count: 100000}, preset: [gatys], steps: [0, 1]}"
    assert {problem.line for problem in problems(text)} == {4, 5}


def test_deep_settings_do_not_leak_between_variants():
    variants = parse(HEAD + "method: {name: gatys, pyramid: {levels: 2}}\nsweep: {pyramid.factor: [0.5, 0.6]}").variants
    pyramids = [variants.config(i).pyramid for i in range(2)]
    assert [(p.levels, p.factor) for p in pyramids] == [(2, 0.5), (2, 0.6)]


SCALAR = st.sampled_from(
    ["1", "-1", "abc", "~", "[]", "{}", "[1, 2]", "{a: 1}", "true", ".nan", "1e999", "012", "''", "yes", "[[]]"]
)
KEYS = ["name", "contents", "styles", "method", "sweep", "budget", "output", "batch_size", "extends", "kind", "other"]
DEEP = [
    "uri", "images", "mix", "weight", "name", "size", "optimizer", "style_layers", "preset", "zip", "exclude", "from",
    "to", "num", "count", "first", "scale", "cells", "format", "style_weight", "seed", "optimizer.history", "backbone",
    "pyramid",
]  # fmt: skip
NODE = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(st.sampled_from(DEEP), inner, max_size=4).map(
            lambda block: "{" + ", ".join(f"{key}: {value}" for key, value in block.items()) + "}"
        )
    ),
    max_leaves=10,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(KEYS), NODE, max_size=6), st.booleans())
@example({"sweep": "{preset: [[]]}"}, True)
def test_any_manifest_is_read_or_refused_with_places(block, whole):
    if whole:
        block = {"name": "x", "contents": "a", "styles": "b", "method": "{name: gatys}", **block}
    text = "".join(f"{key}: {value}\n" for key, value in block.items())
    try:
        parse_manifest(text, "x.yaml")
    except ManifestError as error:
        found = error.problems
    else:
        return
    assert found
    for problem in found:
        assert problem.line <= len(block) + 1
        assert problem.message


SETTING = {
    "size": st.sampled_from(["64", "4", "x"]),
    "style_weight": st.sampled_from(["1", "[1]", "-1"]),
    "optimizer": st.sampled_from(["adam", "{name: adam, ema: 2}", "{nam: adam}", "3"]),
    "style_layers": st.sampled_from(["[relu1_1]", "[relu1_9]", "{relu1_1: x}", "[]", "3"]),
    "pyramid": st.sampled_from(["{levels: 2}", "{levels: 0, factor: 3}", "2"]),
    "sise": st.just("3"),
}


@pytest.mark.slow
@given(
    st.lists(st.sampled_from(sorted(SETTING)), min_size=1, max_size=4, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: SETTING[name] for name in names})
    )
)
def test_each_fault_is_found_whatever_else_is_wrong(block):
    """The faults of several settings together are the faults of each alone."""

    def found(settings_):
        text = HEAD + "method:\n  name: gatys\n" + "".join(f"  {key}: {value}\n" for key, value in settings_.items())
        try:
            parse_manifest(text, "x.yaml")
        except ManifestError as error:
            return {problem.message for problem in error.problems}
        return set()

    alone = [found({key: value}) for key, value in block.items()]
    assert found(block) == set().union(*alone)
