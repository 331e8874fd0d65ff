"""Changes beside a manifest: `nst run m.yaml method.size=256 sweep.seed='[1, 2]'`."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst.errors import ManifestError
from nst.manifest.declaration import read_declaration
from nst.manifest.sweep import check_manifest
from nst.manifest.training import check_train_manifest
from nst.yaml.text import dump

MANIFEST = """\
name: some
contents: [a.png, b.png]
styles: s.png
method: {name: gatys, size: 512, optimizer: {name: adam, ema: 0.9}}
sweep: {style_weight: [1, 2], seed: {count: 3}}
"""


def raw(*overrides, text=MANIFEST):
    return read_declaration(text, "m.yaml", overrides=overrides).raw


def problems(*overrides, text=MANIFEST):
    with pytest.raises(ManifestError) as caught:
        check_manifest(read_declaration(text, "m.yaml", overrides=overrides))
    return str(caught.value)


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("method.size=256", ("method", "size"), 256),
        ("sweep.seed=[1, 2]", ("sweep", "seed"), [1, 2]),
        ("sweep.optimizer.history=[5, 9]", ("sweep", "optimizer.history"), [5, 9]),
        ("method.optimizer.ema=0.5", ("method", "optimizer"), {"name": "adam", "ema": 0.5}),
        ("method.optimizer=lbfgs", ("method", "optimizer"), "lbfgs"),
        ("method.optimizer.name=lbfgs", ("method", "optimizer"), {"name": "lbfgs"}),
        ("contents={uri: 'x=y.png'}", ("contents",), {"uri": "x=y.png"}),
        ("budget.cells=7", ("budget", "cells"), 7),
        ("method.seed=yes", ("method", "seed"), "yes"),
        ("name=other", ("name",), "other"),
    ],
)
def test_a_value_is_put_at_its_path(override, path, value):
    found = raw(override)
    for key in path:
        found = found[key]
    assert found == value


def test_everything_else_stays():
    assert raw("method.size=256") == {**raw(), "method": {**raw()["method"], "size": 256}}
    assert raw() == read_declaration(MANIFEST, "m.yaml").raw


@pytest.mark.parametrize("override", ["sweep.seed=null", "sweep.seed="])
def test_null_drops_what_the_manifest_says(override):
    assert raw(override)["sweep"] == {"style_weight": [1, 2]}


def test_the_last_of_two_changes_counts():
    assert raw("method.size=1", "method.size=2")["method"]["size"] == 2


def test_a_method_written_as_its_bare_name_takes_settings():
    text = "name: some\ncontents: a.png\nstyles: s.png\nmethod: {name: gatys, optimizer: adam}\n"
    assert raw("method.optimizer.ema=0.5", text=text)["method"]["optimizer"] == {"name": "adam", "ema": 0.5}
    bare = "name: some\ncontents: a.png\nstyles: s.png\nmethod: gatys\n"
    assert raw("method.size=64", text=bare)["method"] == {"name": "gatys", "size": 64}


def test_a_training_takes_changes_too():
    text = "kind: train\nname: some\nphotographs: p/\nstyles: s.png\ntraining: johnson\n"
    declaration = read_declaration(text, "m.yaml", overrides=["training.steps=7", "training.size=64"])
    (config,) = check_train_manifest(declaration).configs
    assert (config.family, config.steps, config.size) == ("johnson", 7, 64)


def test_changes_are_laid_over_what_the_manifest_extends():
    text = "extends: base.yaml\nname: mine\n"
    found = read_declaration(text, "m.yaml", lambda _: MANIFEST, ["method.size=64"])
    assert (found.raw["name"], found.raw["method"]["size"]) == ("mine", 64)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["method.siez=1"], "<command line>:1:8: error: unknown key 'siez'"),
        (["name=b", "method.size=4"], "<command line>:2:13: error: found 4, expected at least 16"),
        (["method.size=x"], "<command line>:1:13: error: found 'x', expected a whole number or 'original'"),
        (["metod.size=1"], "<command line>:1:1: error: unknown key 'metod'; did you mean 'method'?"),
        (["sweep.style_wieght=[1]"], "<command line>:1:7: error: the method has no setting 'style_wieght'"),
        (["sweep.seed=[1, 1]"], "<command line>:1:16: error: item 2 of the axis 'seed' repeats item 1"),
        (["method.optimizer={name: adam, beta: 1}"], "<command line>:1:31: error: unknown key 'beta'"),
        (["method.size=[1, 2"], "<command line>:1:"),
        (["method.size=64", "sweep.seed={a: 1, a: 2}"], "<command line>:2:"),
        (["size"], "<command line>:1:1: error: found 'size', expected key=value"),
        (["method..size=1"], "<command line>:1:1: error: found 'method..size=1', expected key=value"),
        (["=1"], "<command line>:1:1: error: found '=1', expected key=value"),
        (["contents.0.uri=c.png"], "<command line>:1:10: error: 'contents' is a list, no block"),
        (["method.size.side=1"], "<command line>:1:13: error: 'method.size' is 512, no block"),
        (["extends=other.yaml"], "<command line>:1:1: error: 'extends' stands in the manifest itself"),
        (["name=b\nc"], "<command line>:1:1: error: a change has a line break"),
        (["name=b", "name=\x1b[31m"], "<command line>:2:6: error: the character U+001B is not allowed"),
    ],
)
def test_a_fault_is_shown_in_the_argument(overrides, message):
    found = problems(*overrides)
    assert message in found
    assert "\x1b" not in found
    if len(overrides) == 1 and "line break" not in message:
        assert f"1 | {overrides[0]}\n" in found


def test_all_faults_are_told_at_once():
    found = problems("size", "method.size=1", "=3")
    assert "<command line>:1:1" in found
    assert "<command line>:3:1" in found


def test_a_fault_of_the_manifest_is_still_shown_in_the_manifest():
    found = problems("method.steps=5", text=MANIFEST.replace("512", "4"))
    assert found.startswith("m.yaml:4:29: error: found 4, expected at least 16")
    assert "command line" not in found
    missing = problems("method.steps=5", text=MANIFEST.replace("styles: s.png\n", ""))
    assert missing.startswith("m.yaml:1:1: error: the key 'styles' is missing")


@pytest.mark.slow
@given(st.lists(st.text(max_size=30), max_size=3))
def test_any_text_is_a_change_or_a_problem_and_never_a_crash(overrides):
    with suppress(ManifestError):
        check_manifest(read_declaration(MANIFEST, "m.yaml", overrides=overrides))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@pytest.mark.slow
@given(VALUES.filter(lambda value: value is not None))
def test_any_value_arrives_as_it_is(value):
    written = dump(value).replace("\n", " ")
    assert raw(f"budget.cells={written}")["budget"] == {"cells": value}


@pytest.mark.parametrize(
    ("changes", "text", "line", "rest"),
    [
        (("method=gatys",), MANIFEST.replace("method: {", "methods: [{").replace("}}\nsw", "}}]\nsw"), 1,
         "m.yaml:4:1: found both 'method' and 'methods'"),
        (("name=x", "method=texture"), MANIFEST, 2, "m.yaml:5:9: "),
        (("method.backbone={name: squeezenet}",), MANIFEST.replace("size: 512", "content_layers: relu4_2"), 1,
         "m.yaml:4:39: squeezenet has no layer 'relu4_2'"),
        (("method=gatys", "method.init=noise"), MANIFEST.replace("seed: {", "noise: {"), None, "m.yaml:5:"),
    ],
)  # fmt: skip
def test_a_change_that_does_not_fit_is_blamed_and_not_the_line_of_the_manifest(changes, text, line, rest):
    told = problems(*changes, text=text)
    if line is None:  # the manifest has this fault by itself
        assert told.startswith(rest)
        return
    first = next(one for one in told.splitlines() if rest in one)
    assert first.startswith(f"<command line>:{line}:1: error: this change does not fit to {rest}")
    assert f"{line} | {changes[line - 1]}" in told
