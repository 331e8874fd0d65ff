"""Manifests that extend others, and what a manifest declares: its YAML and that of its bases are read once."""

from __future__ import annotations

import pytest

from nst.errors import InputError, ManifestError
from nst.manifest.declaration import read_declaration
from nst.manifest.sweep import check_manifest, parse_manifest
from nst.manifest.training import check_train_manifest

HEAD = "name: x\ncontents: a.jpg\nstyles: b.jpg\n"
TRAINING = "kind: train\nname: x\nphotographs: photos/\nstyles: b.jpg\ntraining: {family: johnson, steps: 7}\n"


def parse(text, **bases):
    return parse_manifest(text, "x.yaml", lambda uri: bases[uri.removesuffix(".yaml")])


def problems(text, **bases):
    with pytest.raises(ManifestError) as caught:
        parse(text, **bases)
    return caught.value.problems


def unreadable(uri):
    raise InputError(f"{uri} does not exist")


@pytest.mark.parametrize(
    ("text", "kind"), [(HEAD, "sweep"), ("kind: sweep", "sweep"), (TRAINING, "train"), ("kind: tarin", "sweep")]
)
def test_a_manifest_says_what_it_declares(text, kind):
    assert read_declaration(text, "x.yaml").kind == kind


def test_the_kind_may_stand_in_a_base():
    declaration = read_declaration("extends: base.yaml\nname: y", "x.yaml", {"base.yaml": TRAINING}.get)
    assert declaration.kind == "train"
    manifest = check_train_manifest(declaration)
    assert (manifest.name, manifest.configs[0].steps) == ("y", 7)


def test_a_training_is_no_sweep():
    declaration = read_declaration(TRAINING, "x.yaml")
    with pytest.raises(ManifestError) as caught:
        check_manifest(declaration)
    assert [(p.line, p.column) for p in caught.value.problems] == [(1, 7)]


def test_every_file_is_read_once():
    read = []
    texts = {"base.yaml": "extends: bottom.yaml\nmethod: {steps: 5}", "bottom.yaml": HEAD + "method: gatys"}

    def read_base(uri):
        read.append(uri)
        return texts[uri]

    declaration = read_declaration("extends: base.yaml", "x.yaml", read_base)
    assert declaration.kind == "sweep"
    assert check_manifest(declaration).variants.config(0).steps == 5
    assert read == ["base.yaml", "bottom.yaml"]


def test_extends_merges_mappings_and_replaces_the_rest():
    base = HEAD + "method: {name: gatys, size: 64, optimizer: {name: adam, ema: 0.5}}\n"
    base += "sweep: {seed: [1, 2], style_weight: [1, 2]}"
    ours = "extends: base.yaml\nname: y\ncontents: [c.jpg, d.jpg]\n"
    ours += "method: {steps: 9, optimizer: {ema: 0.9}}\nsweep: {seed: {count: 3}}"
    manifest = parse(ours, base=base)
    config = manifest.variants.config(0)
    assert manifest.name == "y"
    assert [c.uri for c in manifest.contents] == ["c.jpg", "d.jpg"]
    assert [s.uri for s in manifest.styles] == ["b.jpg"]
    assert (config.size, config.steps, config.optimizer.name, config.optimizer.ema) == (64, 9, "adam", 0.9)
    assert manifest.sweep.lengths == (3, 2)


def test_extends_replaces_a_block_of_another_name_and_null_drops():
    base = HEAD + "method: {name: gatys, size: 64, optimizer: {name: adam, ema: 0.5}}\nsweep: {seed: [1, 2]}"
    manifest = parse("extends: base.yaml\nmethod: {size: null, optimizer: {name: lbfgs}}\nsweep: null", base=base)
    config = manifest.variants.config(0)
    assert (config.size, config.optimizer.name) == (512, "lbfgs")
    assert len(manifest.variants) == 1


def test_bases_extend_bases_relative_to_themselves():
    read = []
    texts = {"sets/one.yaml": "extends: ../two.yaml\nmethod: {steps: 5}", "sets/../two.yaml": HEAD + "method: gatys"}

    def read_base(uri):
        read.append(uri)
        return texts[uri]

    manifest = parse_manifest("extends: sets/one.yaml", "here/x.yaml", read_base)
    assert read == ["sets/one.yaml", "sets/../two.yaml"]
    assert manifest.variants.config(0).steps == 5


def test_faults_in_a_base_name_the_base():
    found = problems("extends: base.yaml\nmethod: {stepps: 3}", base=HEAD + "method:\n  name: gatys\n  sice: 3\n")
    assert [(p.file, p.line, p.column) for p in found] == [("base.yaml", 6, 3), ("x.yaml", 2, 10)]


def test_a_base_that_cannot_be_read_is_a_fault_of_extends():
    with pytest.raises(ManifestError, match=r"x.yaml:1:10: error: cannot read 'b.yaml': b.yaml does not exist"):
        parse_manifest("extends: b.yaml", "x.yaml", unreadable)


def test_without_a_reader_nothing_can_be_extended():
    with pytest.raises(ManifestError, match="not possible here"):
        parse_manifest("extends: b.yaml", "x.yaml")


@pytest.mark.parametrize("text", ["method: {steps: 5}", "kind: train", "kind: train\ntraining: {steps: 5}"])
def test_what_an_unreadable_base_may_contain_is_not_missing(text):
    declaration = read_declaration(f"extends: b.yaml\n{text}\n", "x.yaml", unreadable)
    with pytest.raises(ManifestError) as caught:
        (check_manifest if declaration.kind == "sweep" else check_train_manifest)(declaration)
    assert [(p.line, p.column) for p in caught.value.problems] == [(1, 10)]


def test_what_no_base_can_contain_is_missing_whatever_cannot_be_read():
    text = "extends: b.yaml\nmethod: gatys\ncontents: [{name: a}]\nsweep: {style_weight: {from: 1, num: 5}}\n"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.yaml", unreadable)
    assert [(p.line, p.kind, p.meant) for p in caught.value.problems[1:]] == [(3, "other", ""), (4, "missing", "to")]


def test_a_base_that_is_not_yaml_hides_no_fault_of_the_manifest():
    found = problems("extends: base.yaml\nmethod: gatys\nbatch_size: many\n", base="name: [\n")
    assert [(p.file, p.line) for p in found] == [("base.yaml", 2), ("x.yaml", 3)]


def test_a_chain_of_bases_is_bounded():
    texts = {f"{n}.yaml": f"extends: {n + 1}.yaml" for n in range(9)}
    with pytest.raises(ManifestError, match="at most 8 manifests"):
        parse_manifest("extends: 0.yaml", "x.yaml", texts.get)
