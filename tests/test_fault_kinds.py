"""Faults say by their kind what they are, and by `meant` what was meant: no code reads their messages."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.block import Block, Settings
from nst.config.fields import LayerMark, LayerName, LayerWeights
from nst.errors import ManifestError
from nst.manifest.blocks import StyleSpec
from nst.manifest.checking import check, check_layers
from nst.manifest.sweep import parse_manifest
from nst.manifest.training import parse_train_manifest
from nst.yaml.positions import Layer, Where
from nst.yaml.problems import excerpt, missing_key, unknown_key
from nst.yaml.reporter import Reporter

HEAD = "name: x\ncontents: a\nstyles: b\n"
TRAINING = "kind: train\nname: x\nstyles: b\ntraining: johnson\n"


class Image(Block):
    uri: str
    weight: float = 1.0


class Images(Block):
    images: tuple[Image, ...]


class Looks(Settings):
    """A setting for layers under a name that does not say so, and one that says so and is a text."""

    hook: LayerName = "relu4_2"
    hooks: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    word: Annotated[Literal["relu4_1", "relu4_2"], LayerMark()] = "relu4_2"
    code: Annotated[str, Field(pattern=r"^relu[0-9_]*$")] = "relu9_9"
    text_layers: Literal["all", "some"] = "all"
    backbone: BackboneConfig = BackboneConfig()


def reporter(*, complete=True):
    return Reporter(Where((Layer("x.yaml"),)), complete=complete)


def problems(text, parse=parse_manifest):
    with pytest.raises(ManifestError) as caught:
        parse(text, "x.yaml")
    return [(problem.line, problem.kind, problem.meant) for problem in caught.value.problems]


def test_a_misspelt_key_is_not_missing_too():
    faults = check(Images, {"images": [{"urii": "a"}, {"weight": 2}]})[1]
    assert [(fault.path, fault.kind, fault.meant) for fault in faults] == [
        (("images", 0, "urii"), "unknown", "uri"),
        (("images", 1), "missing", "uri"),
    ]


@pytest.mark.parametrize("key", ["contents", "styles"])
def test_a_misspelt_key_of_images_is_one_problem(key):
    text = (HEAD + "method: gatys\n").replace(key, f"{key[:-1]}z")
    assert problems(text) == [({"contents": 2, "styles": 3}[key], "unknown", key)]


@pytest.mark.parametrize("key", ["method", "methods"])
def test_a_misspelt_method_is_one_problem(key):
    assert problems(HEAD + f"{key}x: gatys\n") == [(4, "unknown", key)]


def test_misspelt_photographs_are_one_problem():
    assert problems(TRAINING + "photograpsh: c\n", parse_train_manifest) == [(5, "unknown", "photographs")]
    assert problems(TRAINING, parse_train_manifest) == [(1, "missing", "photographs")]


def test_only_a_misspelling_in_its_own_block_makes_a_key_not_missing():
    report = reporter()
    report.add_fault(unknown_key(("sweep", "stylez"), ["styles"]))
    report.add_fault(missing_key((), "styles"))
    assert [(p.kind, p.meant) for p in report.problems.values()] == [("unknown", "styles"), ("missing", "styles")]
    report.add_fault(unknown_key(("contentz",), ["contents"]))
    report.add_fault(missing_key((), "contents"))
    assert [p.kind for p in report.problems.values()] == ["unknown", "missing", "unknown"]


def test_with_an_unreadable_base_only_what_cannot_stand_there_is_missing():
    report = reporter(complete=False)
    report.add_fault(missing_key(("method",), "name"))
    report.add_fault(missing_key(("sweep",), "seed"))
    assert not report.problems
    report.add_fault(missing_key(("sweep", "seed"), "count"))
    report.add_fault(missing_key(("styles", 0), "uri"))
    assert [p.meant for p in report.problems.values()] == ["count", "uri"]


def test_a_setting_is_one_of_layers_by_its_type():
    """Neither a name that speaks of layers nor a pattern that a layer matches makes a setting one of layers."""
    faults = check(Looks, {"hook": "relu4_9", "hooks": ["relu4_8"], "code": "conv4_2", "text_layers": "sum"})[1]
    found = {fault.path[0]: fault for fault in faults}
    assert {path for path, fault in found.items() if "a layer such as" in fault.message} == {"hook", "hooks"}
    assert (found["hook"].kind, found["hook"].meant) == ("choice", "relu4_4")
    assert "a name of" in found["code"].message
    assert found["text_layers"].meant in {"all", "some", ""}


def test_layers_of_other_backbones_are_found_by_the_type_of_the_setting():
    raw = {"hook": "fire2", "backbone": {"name": "squeezenet"}}
    faults = list(check_layers(raw, Looks.model_validate(raw)))
    assert [fault.path for fault in faults] == [("backbone", "name")]
    assert "encode pictures by a VGG" in faults[0].message  # `word` names a layer of an encoder
    raw = {**raw, "hook": "relu4_1", "hooks": {"fire3": 1, "relu1_1": 1}, "word": "relu4_1"}
    faults = list(check_layers(raw, Looks.model_validate(raw)))
    assert [fault.path for fault in faults] == [("hook",), ("hooks", "relu1_1"), ("backbone", "name")]


@pytest.mark.parametrize(
    ("raw", "sources"),
    [({"name": "a"}, "neither 'uri' nor 'images'"), ({"uri": "a", "images": ["b"]}, "both 'uri' and 'images'")],
)
def test_a_style_has_one_source(raw, sources):
    (fault,) = check(StyleSpec, raw)[1]
    assert fault.message == f"found {sources}, expected one of them"


@pytest.mark.parametrize(
    ("line", "column", "end", "marks"),
    [(7, 1, 3, "  | ^^"), (12, 3, 99, "   |   ^^"), (7, 3, 2, "  |   ^"), (7, 9, 12, "  |         ^")],
)
def test_an_excerpt_marks_a_stretch_of_its_line(line, column, end, marks):
    assert excerpt("abcd", line, column, end) == f"{line} | abcd\n{marks}"
