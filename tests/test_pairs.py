"""`combine: pairs` joins the contents and styles at equal places of their lists; equal lists make the identity test."""

import numpy as np
import pytest
from plans import cells_of, manifest
from sweeps import picture_of, plan, run, write_pictures

from nst.errors import ManifestError
from nst.manifest.sweep import parse_manifest

NAMES = ("cat", "dog", "iris")


def names(cells):
    images = [cells.images(number) for number in range(len(cells))]
    return [(content.name, style.name if style else None) for content, style in images]


def test_pairs_have_equal_places():
    cells = cells_of(manifest("{style_weight: [1, 10]}", extra="combine: pairs"), NAMES, ("wave", "swan", "moon"))
    assert names(cells) == [("cat", "wave")] * 2 + [("dog", "swan")] * 2 + [("iris", "moon")] * 2
    product = cells_of(manifest("{style_weight: [1, 10]}"), NAMES, ("wave", "swan", "moon"))
    assert set(cells.ids) < set(product.ids)
    assert (len(product), cells.excluded, cells.merged) == (3 * 3 * 2, 0, 0)


def test_what_is_made_from_the_content_alone_is_made_once():
    text = "name: x\ncontents: a\nstyles: b\nmethods: [gatys, dream]\ncombine: pairs\n"
    mixed = cells_of(parse_manifest(text, "x.yaml"), NAMES, ("wave", "swan", "moon"))
    assert mixed.methods() == {"gatys": 3, "dream": 3}
    assert set(names(mixed)) == {*zip(NAMES, ("wave", "swan", "moon"), strict=True), *((name, None) for name in NAMES)}


def test_a_rule_leaves_out_pairs():
    cells = cells_of(manifest("{exclude: [{content: dog}]}", extra="combine: pairs"), NAMES, ("wave", "swan", "moon"))
    assert names(cells) == [("cat", "wave"), ("iris", "moon")]
    assert cells.excluded == 1


def test_lists_of_unequal_length_are_refused_where_the_manifest_says_pairs():
    with pytest.raises(ManifestError) as refused:
        cells_of(manifest(extra="combine: pairs"), NAMES, ("wave", "swan"))
    (problem,) = refused.value.problems
    assert problem.message == "found 3 contents and 2 styles; pairs need as many of both"
    assert problem.line == 6


def test_the_identity_test_is_one_line_more(tmp_path):
    folder = write_pictures(tmp_path)
    text = "name: x\ncontents: [cat.png, dog.png]\nstyles: [cat.png, dog.png]\ncombine: pairs\n"
    found = run(plan(folder, text + "method: {name: baseline, kind: style, size: original}\n"))
    assert [(row["content_name"], row["style_name"]) for row in found] == [("cat", "cat"), ("dog", "dog")]
    assert [row["psnr_content"] for row in found] == [100.0, 100.0]
    assert not np.array_equal(picture_of(found[0]), picture_of(found[1]))
