"""The row of a picture by a network of one style tells the style of its training, and no id depends on that."""

import hashlib
import json
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
import torch
from orders import planned
from sweeps import plan, run, write_pictures
from trainings import write_manifest
from trainings import write_pictures as write_training_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.config.training import JohnsonTraining
from nst.errors import InputError, UserError
from nst.networks import build_network, metadata_of
from nst.pictures import metrics
from nst.pictures.images import decode
from nst.records import ImageRef
from tasks.inputs.bounds import Bounds
from tasks.models.importing import import_model
from tasks.models.tensor_files import dump_tensors, load_tensors
from tasks.models.trained_style import style_notes, style_of_file, styles_in, trained_style
from tasks.pages.export import export_sweep
from tasks.pages.report import report
from tasks.planning.registration import register_sweep
from tasks.root import open_root
from tasks.store import open_store

CONFIG = JohnsonTraining(width=4, residual_blocks=0)
SWEEP = "name: x\ncontents: cat.png\nmethod: {name: feedforward, model: 'MODEL', size: 32}\n"


@cache
def tensors():
    torch.manual_seed(0)
    return build_network(CONFIG).state_dict()


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_network(path, notes):
    path.write_bytes(dump_tensors(tensors(), metadata_of(CONFIG, [], 1) | notes))
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder with pictures, among them the painting `waves.png`."""
    return write_pictures(tmp_path)


def waves(folder, uri=None):
    return ImageRef("waves", uri if uri is not None else f"file://{folder}/waves.png", digest_of(folder / "waves.png"))


def check_row(row, folder, *, read):
    """The row must tell the painting, and must compare with it what an independent call compares."""
    assert row["style_name"] == "waves"
    assert json.loads(row["style_digests"]) == [digest_of(folder / "waves.png")]
    assert json.loads(row["style_weights"]) == [1.0]
    picture = decode(Path(row["picture_uri"].removeprefix("file://")).read_bytes())
    style = decode((folder / "waves.png").read_bytes()) if read else None
    expected = metrics.measure(picture, None, [] if style is None else [style])
    assert row["palette_distance_style"] == pytest.approx(expected.get("palette_distance_style"))


# ---- a file that is named by itself --------------------------------------------------------------------------------
def test_a_file_tells_its_style_and_keeps_the_id_of_its_cells(folder):
    write_network(folder / "net.safetensors", style_notes([waves(folder)]))
    prepared = plan(folder, SWEEP.replace("MODEL", "net.safetensors"))
    (row,) = run(prepared)
    check_row(row, folder, read=True)
    assert json.loads(row["style_uris"]) == [f"file://{folder}/waves.png"]
    assert prepared.plan.cells.cell(0).style is None
    # The bytes of the file alone are the network: a plan that cannot tell the style has the same cells.
    forgetful = prepared.plan.cells.models[0, 0]
    assert forgetful.identity == f"sha256-{digest_of(folder / 'net.safetensors')}"
    assert plan(folder, SWEEP.replace("MODEL", "net.safetensors")).plan.to_do == 0


@pytest.mark.parametrize("fate", ["gone", "changed", "elsewhere", "on the web", "outside"])
def test_a_painting_that_cannot_be_read_leaves_its_name_and_digest(folder, fate):
    told = waves(folder, "https://203.0.113.1/waves.png" if fate == "on the web" else None)
    if fate == "elsewhere":
        told = waves(folder, "")
    write_network(folder / "net.safetensors", style_notes([told]))
    kept = (folder / "waves.png").read_bytes()
    if fate == "gone":
        (folder / "waves.png").unlink()
    if fate == "changed":
        (folder / "waves.png").write_bytes((folder / "dog.png").read_bytes())
    prepared = plan(folder, SWEEP.replace("MODEL", "net.safetensors"))
    if fate == "outside":
        store, bounds = open_store(folder / "out"), Bounds.of(str(folder / "elsewhere"))
        style = style_of_file(f"{folder}/net.safetensors", "d", store, bounds)
        assert style.images[0].uri == ""
        assert style.images[0].fault
        return
    (row,) = run(prepared)
    (folder / "waves.png").write_bytes(kept)
    check_row(row, folder, read=False)
    assert row["ssim_content"] is not None


@pytest.mark.parametrize("notes", [
    {}, {"styles": "[]"}, {"styles": "no JSON"}, {"styles": '{"a": 1}'}, {"styles": '["../../etc/passwd"]'},
    {"styles": "[7]"}, {"styles": json.dumps(["0" * 64] * 2)},
])  # fmt: skip
def test_notes_that_make_no_sense_tell_no_style(folder, notes):
    file = write_network(folder / "net.safetensors", notes)
    assert style_of_file(str(file), "d" * 64, open_store(folder / "out"), Bounds()) is None


def test_without_notes_the_row_has_no_style(folder):
    write_network(folder / "net.safetensors", {})
    (row,) = run(plan(folder, SWEEP.replace("MODEL", "net.safetensors")))
    assert (row["style_name"], row["style_uris"], row["style_digests"]) == (None, None, None)
    assert row["palette_distance_style"] is None


def test_older_files_tell_the_digest_alone(folder):
    (image,) = styles_in({"styles": json.dumps([digest_of(folder / "waves.png")])})
    assert image == ImageRef(image.digest[:8], "", digest_of(folder / "waves.png"))


def test_a_network_of_several_styles_or_of_any_has_none_of_its_own(folder):
    one, two = waves(folder), ImageRef("dog", "dog.png", "0" * 64)
    assert trained_style("johnson", [one]).name == "waves"
    assert trained_style("johnson", [one, two]) is trained_style("conditional", [one]) is None
    assert trained_style("adain", []) is trained_style("nonsense", [one]) is None


def test_the_notes_of_a_file_in_a_bucket_are_read_once(folder):
    far, root = open_store("memory://nets"), open_store(folder / "out")
    data = write_network(folder / "net.safetensors", style_notes([waves(folder)])).read_bytes()
    far.put("net.safetensors", data)
    first = style_of_file("memory://nets/net.safetensors", "d" * 64, root, Bounds())
    far.delete("net.safetensors")
    again = style_of_file("memory://nets/net.safetensors", "d" * 64, root, Bounds())
    assert first == again
    assert first.images == (waves(folder),)


# ---- models of the catalog -----------------------------------------------------------------------------------------
def imported(folder, notes, name="net", style=""):
    write_network(folder / "net.safetensors", notes)
    root = open_root(str(folder / "out"))
    return import_model(root.catalog, [str(folder / "net.safetensors")], name, style).model_id


def test_an_imported_network_has_the_style_that_is_given(folder):
    model = imported(folder, {}, style=str(folder / "waves.png"))
    (row,) = run(plan(folder, SWEEP.replace("MODEL", model[:8])))
    check_row(row, folder, read=True)
    assert row["model_id"] == model
    # Its file carries the style to whoever gets it.
    models = pd.read_parquet(folder / "out/catalog/models")
    notes, _ = load_tensors(
        open_store(folder / "out").get(f"models/{models.weights_digest[0][:2]}/{models.weights_digest[0]}.safetensors")
    )
    assert styles_in(notes) == [waves(folder)]


def test_the_file_that_was_imported_with_a_style_tells_it_when_it_is_named_itself(folder):
    write_network(folder / "net.safetensors", {})
    before = plan(folder, SWEEP.replace("MODEL", "net.safetensors")).plan.cells.ids
    imported(folder, {}, style=str(folder / "waves.png"))
    prepared = plan(folder, SWEEP.replace("MODEL", "net.safetensors"))
    assert prepared.plan.cells.ids == before
    (row,) = run(prepared)
    check_row(row, folder, read=True)
    assert row["model_id"] is None


def test_an_import_without_a_style_is_the_model_that_it_was(folder):
    model = imported(folder, {})
    data = dump_tensors(tensors(), metadata_of(CONFIG, [], 1))
    assert model == hashlib.sha256(f"imported {hashlib.sha256(data).hexdigest()}".encode()).hexdigest()[:32]
    assert imported(folder, {}, "other", str(folder / "waves.png")) != model


def test_an_import_takes_the_style_from_the_file_and_refuses_another(folder):
    notes = style_notes([waves(folder)])
    model = imported(folder, notes)
    (row,) = run(plan(folder, SWEEP.replace("MODEL", model[:8])))
    check_row(row, folder, read=True)
    with pytest.raises(UserError, match="is not the image that the file names as its style"):
        imported(folder, notes, "other", str(folder / "dog.png"))


def test_what_cannot_be_the_style_of_a_network_is_refused(folder):
    (folder / "text.png").write_text("no picture")
    with pytest.raises(InputError, match=r"text\.png"):
        imported(folder, {}, style=str(folder / "text.png"))
    with pytest.raises(InputError, match="does not exist"):
        imported(folder, {}, style=str(folder / "nowhere.png"))


def test_the_page_and_the_export_name_the_style(folder):
    write_network(folder / "net.safetensors", style_notes([waves(folder)]))
    prepared = plan(folder, SWEEP.replace("MODEL", "net.safetensors"))
    register_sweep(prepared)
    prepared.root.catalog.publish("sweeps")
    run(prepared)
    page = report(prepared)
    assert page.rows[0]["style_name"] == "waves"
    (html,) = (folder / "out/gallery").glob("*/index.html")
    data = json.loads(html.read_text().partition('id="data">')[2].partition("</script>")[0])
    assert data["only"] == {"content": "cat", "style": "waves"}
    assert data["heads"]["style"]["waves"].startswith("data:image/webp")
    # A manifest that names the network takes no styles, and the page writes none into the manifest of the cell.
    assert data["sources"]["values"][0]["styles"] == []
    export_sweep(prepared.root.catalog, prepared.plan.sweep_id, folder / "exported")
    assert sorted(path.name for path in (folder / "exported").iterdir()) == ["cat__waves.png", "catalog.csv"]


@pytest.mark.xdist_group("train_run")  # which exports too: the exporter loads once
@pytest.mark.slow
def test_a_trained_network_is_known_by_its_id_and_by_its_exported_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_training_pictures(tmp_path)
    write_manifest(tmp_path, steps=2)
    write_pictures(tmp_path)

    def nst(*arguments):
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output

    nst("run", "tiny.yaml", "--inline", "--devices", "cpu")
    (model,) = pd.read_parquet("out/catalog/models").model_id
    nst("export", model, "exported")
    (file,) = (tmp_path / "exported").glob("*.safetensors")
    digest = digest_of(tmp_path / "styles/dots.png")
    for named in (model, str(file)):
        (tmp_path / "m.yaml").write_text(SWEEP.replace("MODEL", named))
        prepared = planned("m.yaml", "out")
        (row,) = run(prepared)
        assert row["style_name"] == "dots"
        assert json.loads(row["style_uris"]) == [f"file://{tmp_path}/styles/dots.png"]
        assert json.loads(row["style_digests"]) == [digest]
        assert row["palette_distance_style"] > 0
