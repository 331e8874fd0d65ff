"""Several methods in one sweep: each under the axes that it has, never in one batch, named where they are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import warm
from orders import planned

from nst.errors import ManifestError, UserError
from nst.manifest.sweep import parse_manifest
from nst.pictures.images import decode, encode
from nst.planning.batches import make_plan
from nst.planning.cells import expand
from nst.records import ImageRef, OutputFormat, StyleRef
from tasks.catalog import parameters
from tasks.pages.rows import varying

pytestmark = pytest.mark.xdist_group("mixed")  # its sweep runs once

HEAD = "name: x\ncontents: c/*\nstyles: s/*\n"


def images(*names):
    return [ImageRef(name, f"{name}.png", (name.encode().hex() * 64)[:64]) for name in names]


CONTENTS = images("cat", "dog")
STYLES = [StyleRef(ref.name, (ref,), (1.0,)) for ref in images("wave", "swan", "iris")]


def cells_of(text):
    manifest = parse_manifest(HEAD + text, "x.yaml")
    return expand(manifest, CONTENTS, STYLES, dict.fromkeys(manifest.backbones(), "w"))


def facts(cells):
    """Return method, content, style and what the axes set, of every cell."""
    found = []
    for number in range(len(cells)):
        cell = cells.cell(number)
        content, style = (ref.name if ref else None for ref in (cell.content, cell.style))
        found.append((cell.config.name, content, style, cells.values(number)))
    return found


def test_an_axis_multiplies_the_methods_that_have_its_setting():
    cells = cells_of(
        "methods: [{name: gatys, noise: 0.1}, {name: mrf, size: 128, init: noise}, texture,"
        " {name: invert, layer: relu2_1}]\n"
        "sweep: {style_weight: [1, 3], rotations: [0, 1], seed: [4, 5]}\n"
    )
    count = pd.Series([method for method, *_ in facts(cells)]).value_counts().to_dict()
    assert count == {"gatys": 2 * 3 * 2 * 2, "mrf": 2 * 3 * 2 * 2 * 2, "texture": 3 * 2, "invert": 2 * 2}
    values = {method: set(values) for method, _, _, values in facts(cells)}
    assert values == {
        "gatys": {"style_weight", "seed"}, "mrf": {"style_weight", "rotations", "seed"},
        "texture": {"seed"}, "invert": {"seed"},
    }  # fmt: skip
    for number, (method, content, style, values) in enumerate(facts(cells)):
        config = cells.cell(number).config
        assert all(getattr(config, key) == value for key, value in values.items())
        assert (content is None, style is None) == (method == "texture", method == "invert")


def test_a_cell_is_the_same_as_in_a_manifest_of_its_method_alone():
    sweep = "sweep: {style_weight: [1, 3]}"
    mixed = cells_of(f"methods: [gatys, {{name: mrf, rotations: 1}}]\n{sweep}")
    alone = [cells_of(f"method: {method}\n{sweep}") for method in ("gatys", "{name: mrf, rotations: 1}")]
    assert sorted(mixed.ids) == sorted(alone[0].ids + alone[1].ids)
    assert cells_of(f"methods: [gatys]\n{sweep}").ids == alone[0].ids
    batches = [[batch.batch_id for batch in make_plan("x", cells).batches()] for cells in (mixed, *alone)]
    assert sorted(batches[0]) == sorted(batches[1] + batches[2])


def test_an_image_that_a_method_does_not_look_at_multiplies_nothing():
    text = "budget: {cells: 13}\nmethods: [gatys, texture, dream, {name: class_visualisation, target: 7}]\n"
    cells = cells_of(text.replace("13", "12"))
    assert cells.methods() == {"gatys": 2 * 3, "texture": 3, "dream": 2, "class_visualisation": 1}
    assert (len(cells), cells.merged, cells.excluded) == (12, 0, 0)
    with pytest.raises(UserError, match="the sweep has 12 cells"):
        cells_of(text.replace("13", "11"))
    # A rule that names a content means cells that have one: what is made from the style alone stays.
    fewer = cells_of(text + "sweep: {exclude: [{content: cat}, {method: class*}]}")
    assert fewer.methods() == {"gatys": 3, "texture": 3, "dream": 1}
    assert fewer.excluded == 3 + 1 + 1
    assert make_plan("x", fewer).to_json()["methods"] == fewer.methods()


def test_batches_hold_one_method_and_all_cells():
    cells = cells_of("methods: [gatys, mrf, {name: gatys, size: 64}]\nsweep: {seed: {count: 5}, style_weight: [1, 2]}")
    batches = list(make_plan("x", cells).batches())
    assert sorted(cell.cell_id for batch in batches for cell in batch.cells) == sorted(cells.ids)
    for batch in batches:
        assert len({(cell.config.name, cell.config.size) for cell in batch.cells}) == 1


def test_zipped_axes_are_taken_as_far_as_a_method_has_them():
    cells = cells_of("methods: [gatys, mrf]\nsweep: {zip: {size: [64, 96, 96], rotations: [0, 0, 1]}}")
    values: dict[str, set] = {}
    for method, _, _, of_cell in facts(cells):
        values.setdefault(method, set()).add(tuple(of_cell.items()))
    assert values["mrf"] == {
        (("size", 64), ("rotations", 0)), (("size", 96), ("rotations", 0)), (("size", 96), ("rotations", 1)),
    }  # fmt: skip
    assert values["gatys"] == {(("size", 64),), (("size", 96),)}
    assert cells.merged == 2 * 3


@pytest.mark.parametrize(
    ("rule", "gone"),
    [
        ("{method: mrf}", lambda m, c, s, v: m == "mrf"),
        ("{method: m*, style_weight: 1}", lambda m, c, s, v: m == "mrf" and v["style_weight"] == 1),
        ("{rotations: 1}", lambda m, c, s, v: v.get("rotations") == 1),
        ("{style_weight: 3, content: cat}", lambda m, c, s, v: v["style_weight"] == 3 and c == "cat"),
        ("{method: [gatys], style: [wave, swan]}", lambda m, c, s, v: m == "gatys" and s in {"wave", "swan"}),
    ],
)
def test_rules_leave_out_what_matches_all_of_them(rule, gone):
    text = "methods: [gatys, mrf]\nsweep: {style_weight: [1, 3], rotations: [0, 1]"
    every = facts(cells_of(text + "}"))
    assert facts(cells_of(text + f", exclude: [{rule}]}}")) == [cell for cell in every if not gone(*cell)]


def test_faults_are_reported_at_their_method():
    text = HEAD + "methods:\n  - gatys\n  - name: mrf\n    rotations: 99\n  - {name: dream, layers: fire6}\n"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.yaml")
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [
        (7, "found 99, expected at most 24")
    ]
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text.replace("99", "9"), "x.yaml")
    assert [(problem.line, problem.message) for problem in caught.value.problems] == [(8, "vgg19 has no layer 'fire6'")]


def test_missing_weights_are_reported_at_their_method(tmp_path):
    text = (
        "name: x\ncontents: a.png\nstyles: a.png\nmethods:\n  - gatys\n  - {name: mrf, backbone: {weights: no.pth}}\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    (tmp_path / "a.png").write_bytes(b"never decoded")
    with pytest.raises(ManifestError, match=r"no\.pth") as caught:
        planned(tmp_path / "x.yaml", tmp_path / "out")
    assert [(fault.line, fault.column) for fault in caught.value.problems] == [
        (6, text.splitlines()[5].index("no.pth") + 1)
    ]


def test_what_follows_from_the_method_is_no_news():
    rows = pd.DataFrame([
        {"method": "gatys", "style_weight": 1.0, "steps": 300, "rotations": None},
        {"method": "gatys", "style_weight": 3.0, "steps": 300, "rotations": None},
        {"method": "mrf", "style_weight": 1.0, "steps": 100, "rotations": 0},
    ])  # fmt: skip
    rows = rows.reindex(columns=["method", *(column.name for column in parameters.columns())])
    assert varying(rows) == ["method", "style_weight"]
    assert varying(rows[rows.method == "gatys"]) == ["style_weight"]


def test_what_follows_from_the_weights_is_no_news():
    """Layers that are left out are those that the weights have; the sheet's labels have no room for them."""
    rows = pd.DataFrame([
        {"method": "gatys", "backbone_weights": weights, "content_layers": layers, "style_weight": weight}
        for weights, layers in (("embedded", '{"relu4_1":1}'), ("draft", '{"relu4_1":1}'), ("random", '{"relu4_2":1}'))
        for weight in (3.0, 30.0)
    ])  # fmt: skip
    rows = rows.reindex(columns=["method", *(column.name for column in parameters.columns())])
    assert varying(rows) == ["style_weight", "backbone_weights"]
    apart = rows.assign(content_layers=['{"relu4_1":1}', '{"relu3_1":1}'] * 3)
    assert varying(apart) == ["content_layers", "style_weight", "backbone_weights"]


SMALL = "size: 48, steps: 2, backbone: {name: vgg16, weights: random}"
SHORT = "size: 48, steps: 2, backbone: {name: squeezenet, weights: random}, pyramid: {levels: 1}"
MANIFEST = f"""\
name: mixed
contents: [cat.png, dog.png]
styles: [waves.png, {{name: blend, images: [waves.png, cat.png]}}]
methods:
  - {{name: gatys, content_layers: relu2_1, style_layers: relu1_1, {SMALL}}}
  - &mrf {{name: mrf, pyramid: {{levels: 1}}, content_layers: relu2_1, style_layers: relu2_1, {SMALL}}}
  - {{<<: *mrf, what: synthesis}}
  - {{name: texture, width: 64, style_layers: [relu1_1, pool1], {SMALL}}}
  - {{name: invert, {SMALL}}}
  - {{name: invert, what: style, {SMALL}}}
  - {{name: dream, layers: fire3, {SHORT}}}
  - {{name: class_visualisation, target: 7, {SHORT}}}
sweep:
  style_weight: [1, 3]
  layer: [relu1_1, relu2_1]
  exclude: {{method: mrf, style_weight: 3}}
"""


def nst(folder, *arguments):
    done = warm.nst(*arguments, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed")
    for seed, name in enumerate(("cat", "dog", "waves")):
        coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
        (folder / f"{name}.png").write_bytes(encode(coarse.repeat(4, 0).repeat(4, 1), OutputFormat(), {}))
    (folder / "mixed.yaml").write_text(MANIFEST)
    nst(folder, "run", "mixed.yaml", "--inline")
    return folder


def test_a_mixed_manifest_runs_and_the_catalog_alone_compares_the_methods(folder):
    results = pd.read_parquet(folder / "out/catalog/results")
    count = {"gatys": 8, "mrf": 4 + 2, "texture": 2, "invert": 4 + 4, "dream": 2, "class_visualisation": 1}
    assert results.groupby("method").size().to_dict() == count
    assert results.groupby("batch_id").method.nunique().max() == 1
    means = results.groupby("method")[["style_loss", "ssim_content", "palette_distance_style", "loss"]].mean()
    assert means.loss.notna().all()
    assert set(means.index[means.palette_distance_style.isna()]) == {"dream", "class_visualisation"}
    assert set(means.index[means.ssim_content.isna()]) == {"texture", "class_visualisation"}


def test_rows_have_what_their_method_is_made_from(folder):
    results = pd.read_parquet(folder / "out/catalog/results")
    invert = results[results.method == "invert"]
    images = invert[["what", "layer", "content_name", "style_name"]].fillna("-").itertuples(index=False, name=None)
    layers = ("relu1_1", "relu2_1")
    assert sorted(images) == [
        *sorted(("content", layer, name, "-") for layer in layers for name in ("cat", "dog")),
        *sorted(("style", layer, "-", name) for layer in layers for name in ("blend", "waves")),
    ]
    assert invert.content_loss.isna().tolist() == (invert.what == "style").tolist()
    assert invert.ssim_content.isna().tolist() == (invert.what == "style").tolist()
    assert results[results.method == "texture"][["content_name", "content_loss"]].isna().all(axis=None)
    assert set(results[results.method == "texture"].picture_width) == {64}
    synthesis = results[results.what == "synthesis"]
    assert synthesis.content_name.isna().all()
    assert set(synthesis.style_name) == {"blend", "waves"}


def test_running_again_computes_nothing(folder):
    assert "0 done" in nst(folder, "run", "mixed.yaml", "--inline")


def test_files_and_pages_name_the_method(folder):
    nst(folder, "export", "mixed", "files")
    files = {file.name for file in (folder / "files").glob("*.png")}
    assert len(files) == 27
    assert {
        "cat__waves__method=gatys__style_weight=1.png", "dog__blend__method=gatys__style_weight=3.png",
        "cat__waves__method=mrf__style_weight=1__what=transfer.png",
        "waves__method=mrf__style_weight=1__what=synthesis.png",
        "blend__method=texture.png", "cat__method=invert__what=content__layer=relu1_1.png",
        "waves__method=invert__what=style__layer=relu2_1.png",
        "cat__method=dream.png", "method=class_visualisation.png",
    } <= files  # fmt: skip
    (page,) = (folder / "out/gallery").glob("mixed-*/index.html")
    assert "class_visualisation" in page.read_text()
    assert "nan" not in page.read_text().lower().split("<script", 1)[0]
    assert min(decode((page.parent / "contact_sheet.jpg").read_bytes()).shape[:2]) > 100
