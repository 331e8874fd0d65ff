"""`finish: {model: ...}`: the picture of a cell passes through a trained network before it is saved."""

from __future__ import annotations

import hashlib

import pytest
import torch
from cells import blocks, farthest, pictures_of, request
from sweeps import TINY, picture_of, plan, run, write, write_pictures

from nst.config.feedforward import FeedforwardConfig
from nst.config.training import TRAINING_CONFIGS
from nst.errors import ManifestError
from nst.networks import Origin, build_network, metadata_of
from nst.pictures.images import Pixels, decode
from nst.pictures.metrics import compare, content_reference
from tasks.models.files import load_model
from tasks.models.stylize import Painter, stylize_file
from tasks.models.tensor_files import dump_tensors
from tasks.pages.gallery.settings import places
from tasks.work.stylize import Stylist

SMALL = {"width": 4, "residual_blocks": 0, "backbone": {"weights": "random"}}
MANIFEST = """\
name: finished
contents: cat.png
styles: waves.png
method: {name: gatys, %s}
"""
PLAIN = MANIFEST % TINY
FINISH = "finish: {model: %s.safetensors}\n"


def write_network(path, family="super_resolution", seed=0, **settings):
    """Write a network that has learned nothing and return the SHA-256 of its file."""
    config = TRAINING_CONFIGS[family](**(SMALL | settings if family in {"super_resolution", "johnson"} else settings))
    torch.manual_seed(seed)
    network = build_network(config, Origin())
    path.write_bytes(dump_tensors(network.state_dict(), metadata_of(config, [], 1)))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    """A folder with small pictures, a network that doubles sizes, and one that paints one style."""
    write_pictures(tmp_path)
    write_network(tmp_path / "double.safetensors", factor=2)
    write_network(tmp_path / "paint.safetensors", "johnson", upsampling="nearest")
    return tmp_path


@pytest.mark.parametrize(("model", "factor"), [("double", 2), ("paint", 1)])
def test_the_saved_picture_is_that_of_nst_stylize_from_the_unfinished_one(folder, model, factor):
    (before,) = run(plan(folder, PLAIN))
    prepared = plan(folder, PLAIN + FINISH % model)
    (row,) = run(prepared)
    unfinished = before["picture_uri"].removeprefix("file://")
    file = f"{folder}/{model}.safetensors"
    target = stylize_file(Painter(prepared.root.catalog, model=file), unfinished, out=folder / "stylized.png")
    assert (picture_of(row) == decode(target.read_bytes())).all()
    width, height = before["picture_width"], before["picture_height"]
    assert (row["picture_width"], row["picture_height"]) == (factor * width, factor * height)
    assert (picture_of(row)[:height, :width] != picture_of(before)).any()


def test_a_large_picture_passes_in_tiles_and_equals_that_of_one_pass(folder):
    write(folder / "cat.png", blocks(0, 990, 1320, side=10))
    large = (
        "name: large\ncontents: cat.png\nstyles: waves.png\nmethod: {name: baseline, kind: content, size: original}\n"
    )
    (row,) = run(plan(folder, large + FINISH % "double"))
    content = Pixels("cat", decode((folder / "cat.png").read_bytes()))
    network = load_model(f"{folder}/double.safetensors")
    config = FeedforwardConfig(family="super_resolution", model="x", size=1320, tile=4096)
    (whole,) = pictures_of(request(config, content, (), model=network))
    assert whole.shape[0] * whole.shape[1] > FeedforwardConfig.model_fields["tile"].default ** 2
    assert farthest(picture_of(row), whole) <= 1


def test_losses_are_those_before_the_last_step_and_metrics_those_of_the_saved_picture(folder):
    (before,) = run(plan(folder, PLAIN))
    (row,) = run(plan(folder, PLAIN + FINISH % "double"))
    losses = [name for name in row if name.endswith("_loss") or name == "loss"]
    assert len(losses) > 3
    assert [row[name] for name in losses] == [before[name] for name in losses]
    saved = picture_of(row)
    content = content_reference(decode((folder / "cat.png").read_bytes()), saved.shape[1], saved.shape[0])
    assert row["ssim_content"] == compare(saved, content, None)["ssim_content"]
    assert row["ssim_content"] != before["ssim_content"]


def test_the_network_counts_by_its_bytes_and_is_in_the_row(folder):
    digest = hashlib.sha256((folder / "double.safetensors").read_bytes()).hexdigest()
    plain = plan(folder, PLAIN).plan.cells.ids
    first = plan(folder, PLAIN + FINISH % "double")
    assert first.plan.cells.ids != plain
    (row,) = run(first)
    assert (row["finish_model"], row["finish_digest"], row["finish_model_id"]) == ("double.safetensors", digest, None)
    (folder / "copy.safetensors").write_bytes((folder / "double.safetensors").read_bytes())
    assert plan(folder, PLAIN + FINISH % "copy").plan.cells.ids == first.plan.cells.ids
    assert plan(folder, PLAIN + FINISH % "paint").plan.cells.ids != first.plan.cells.ids
    write_network(folder / "double.safetensors", factor=2, seed=1)
    assert plan(folder, PLAIN + FINISH % "double").plan.reasons["input changed"] == 1


def test_without_a_finish_the_columns_are_empty_and_ids_are_those_of_before(folder):
    prepared = plan(folder, PLAIN)
    (row,) = run(prepared)
    assert [row[name] for name in ("finish_model", "finish_digest", "finish_model_id")] == [None] * 3
    assert plan(folder, PLAIN + "finish: null\n").plan.cells.ids == prepared.plan.cells.ids
    own = PLAIN.replace("name: gatys,", "name: gatys, finish: null,")
    assert plan(folder, own + FINISH % "double").plan.cells.ids == prepared.plan.cells.ids


def models_of(prepared):
    cells = [cell for batch in prepared.plan.batches() for cell in batch.cells]
    return [(cell.config.name, cell.finish and cell.finish.uri.rpartition("/")[2]) for cell in cells]


def test_an_axis_and_a_methods_own_finish_count_in_place_of_that_of_the_manifest(folder):
    axis = "sweep: {finish: [null, {model: double.safetensors}], style_weight: [1, 2]}\n"
    found = models_of(plan(folder, PLAIN + FINISH % "paint" + axis))
    assert found == [("gatys", None)] * 2 + [("gatys", "double.safetensors")] * 2
    names = "sweep: {finish.model: [double.safetensors, paint.safetensors]}\n"
    assert [model for _, model in models_of(plan(folder, PLAIN + names))] == ["double.safetensors", "paint.safetensors"]
    several = PLAIN.replace("method: {name: gatys, ", "methods:\n  - baseline\n  - {finish: null, name: gatys, ")
    assert models_of(plan(folder, several + FINISH % "paint")) == [("baseline", "paint.safetensors"), ("gatys", None)]


def test_two_names_of_one_network_are_one_cell(folder):
    (folder / "copy.safetensors").write_bytes((folder / "double.safetensors").read_bytes())
    prepared = plan(folder, PLAIN + "sweep: {finish.model: [double.safetensors, copy.safetensors]}\n")
    assert (prepared.plan.total, prepared.plan.cells.merged) == (1, 1)


def test_a_training_manifest_of_one_network_is_planned_with_the_sweep(folder):
    (folder / "larger.yaml").write_text(
        "kind: train\nname: larger\nphotographs: [cat.png, dog.png]\n"
        "training: {family: super_resolution, content_layers: [relu1_1], backbone: {name: vgg16, weights: random}}\n"
    )
    prepared = plan(folder, PLAIN + "finish: {model: larger.yaml}\n")
    (training,) = prepared.trainings
    (spec,) = training.specs
    (cell,) = [cell for batch in prepared.plan.batches() for cell in batch.cells]
    assert (cell.finish.identity, cell.finish.uri) == (spec.model_id, "")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "any.safetensors",
            "networks of the family adain need a style with each picture, and a finish gives them none",
        ),
        ("masks.safetensors", "networks of the family doodle_net paint masks, and a finish gives them a picture"),
        ("absent.safetensors", "absent.safetensors"),
        ("3f9c2a", "no model '3f9c2a'"),
        ("latest", "no super_resolution model is trained"),
        ("three.yaml", "three makes 2 models, expected one for a finish"),
        ("noise.yaml", "noise makes pictures from noise alone"),
    ],
)
@pytest.mark.parametrize("where", ["manifest", "method", "axis"])
def test_what_cannot_finish_pictures_is_refused_at_its_place(folder, model, message, where):
    for name, family in (("any", "adain"), ("masks", "doodle_net")):
        (folder / f"{name}.safetensors").write_bytes(
            dump_tensors({"x": torch.zeros(1)}, {"format": "nst", "family": family})
        )
    training = "kind: train\nname: {0}\nstyles: [waves.png, start.png]\n"
    (folder / "three.yaml").write_text(
        training.format("three")
        + "photographs: cat.png\ntraining: {family: johnson, backbone: {name: vgg16, weights: random}}\n"
    )
    (folder / "noise.yaml").write_text(
        "kind: train\nname: noise\nstyles: waves.png\n"
        "training: {family: texture_net, mode: texture, backbone: {weights: random}}\n"
    )
    text = {
        "manifest": PLAIN + f"finish: {{model: {model}}}\n",
        "method": PLAIN.replace("name: gatys,", f"name: gatys, finish: {{model: {model}}},"),
        "axis": PLAIN + f"sweep: {{finish: [null, {{model: {model}}}]}}\n",
    }[where]
    with pytest.raises(ManifestError) as caught:
        plan(folder, text)
    (problem,) = caught.value.problems
    assert message in problem.message
    if where != "axis":
        assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith(model)


@pytest.mark.parametrize(
    ("finish", "message"),
    [
        ("{modle: x}", "did you mean 'model'"),
        ("{}", "the key 'model' is missing"),
        ("3", "found 3"),
    ],
)
def test_mistakes_in_it_are_told_once(folder, finish, message):
    with pytest.raises(ManifestError) as caught:
        plan(folder, f"{PLAIN}finish: {finish}\n")
    assert len(caught.value.problems) == 1
    assert message in str(caught.value)


def test_a_file_that_holds_no_such_network_fails_its_cells_alone(folder):
    (folder / "broken.safetensors").write_bytes(dump_tensors({"x": torch.zeros(1)}, {}))
    prepared = plan(folder, PLAIN + "sweep: {finish: [null, {model: broken.safetensors}]}\n")
    stylist = Stylist(prepared.root, "cpu")
    outcomes = [stylist.run(prepared.job(batch)) for batch in prepared.plan.batches()]
    assert [(len(outcome.done), len(outcome.failed)) for outcome in outcomes] == [(1, 0), (0, 1)]
    assert outcomes[1].failed[0].message.startswith("finish: ")


def test_the_page_shows_it_as_the_manifest_has_it():
    assert places("gatys")["finish_model"].keys == ["finish", "model"]
