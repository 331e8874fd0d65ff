"""A manifest of a small backbone is trained, its file measures pictures, and to paint with it is refused."""

from pathlib import Path

import pytest
from orders import planned
from safetensors.torch import load_file, save_file
from trainings import train_alone, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.backbones import random_weights
from nst.errors import InputError, TransientError, UserError
from nst.networks import network_from
from nst.networks.exporting import to_onnx
from nst.pictures.images import decode
from tasks.models.choose import trained_models
from tasks.models.files import parse_tensors
from tasks.root import open_root
from tasks.work.training import train

MANIFEST = """\
kind: train
name: small
photographs: photographs/
styles: styles/
training:
  family: student
  filters: [6, 6, 8]
  size: 16
  crops: 8
  steps: 4
  batch_size: 2
  content_layers: relu2_1
  style_layers: [relu1_1, relu2_1]
  checkpoint_every: 2
  validate_every: 4
  backbone: {weights: teacher.safetensors, input: caffe}
"""
SWEEP = """\
name: sweep
contents: photographs/0.png
styles: styles/dots.png
method: {name: METHOD}
"""
PIXELS = (
    "gatys, size: 24, steps: 2, content_layers: relu2_1, style_layers: relu1_1, backbone: {input: caffe, weights: FILE}"
)
REFUSAL = r"a student network measures pictures and makes none[;( ]+name its file as backbone.weights"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the manifest was trained, with the file of its model as small.safetensors."""
    folder = tmp_path_factory.mktemp("student")
    write_pictures(folder)
    save_file(random_weights("vgg19", 3, "relu2_1"), folder / "teacher.safetensors")
    (folder / "small.yaml").write_text(MANIFEST)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        train_alone(str(folder / "small.yaml"), folder / "out")
    (path,) = (folder / "out/models").rglob("*.safetensors")
    (folder / "small.safetensors").write_bytes(path.read_bytes())
    return folder


@pytest.fixture
def nst(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))

    def run(*arguments):
        return CliRunner().invoke(app, arguments, catch_exceptions=False)

    return run


def model():
    (found,) = trained_models(open_root("out").catalog)
    return found


def sweep(nst, method, *command):
    text = SWEEP if "adain" in method or "gatys" in method else SWEEP.replace("styles: styles/dots.png\n", "")
    Path("sweep.yaml").write_text(text.replace("METHOD", method))
    return nst(*(command or ("run",)), "sweep.yaml", *(["--inline", "--devices", "cpu"] if not command else []))


def told(result):
    """What a command printed, without line breaks."""
    return " ".join(result.output.split())


def test_its_file_measures_pictures_at_once(nst, folder):
    result = sweep(nst, PIXELS.replace("FILE", "small.safetensors"))
    assert result.exit_code == 0, result.output
    tensors = load_file("small.safetensors")
    assert [tuple(tensors[f"features.{n}.weight"].shape) for n in (0, 2, 5)] == [
        (6, 3, 3, 3),
        (6, 6, 3, 3),
        (8, 6, 3, 3),
    ]
    assert (folder / "small.safetensors").stat().st_size < 6000  # 1,000 numbers of two bytes, and the header


def test_it_is_exported_without_onnx_and_its_card_says_how_to_use_it(nst, folder):
    result = nst("export", model().model_id[:8], "exported")
    assert result.exit_code == 0, result.output
    assert "makes no pictures" in told(result)
    files = {path.suffix: path for path in (folder / "exported").iterdir()}
    assert files.keys() == {".safetensors", ".jpg", ".md"}
    card = files[".md"].read_text()
    assert f"backbone: {{name: vgg19, weights: {files['.safetensors'].name}, input: caffe}}" in card
    assert "nst stylize" not in card


@pytest.mark.parametrize(
    "method",
    ["feedforward, family: student", "feedforward, model: ID", "feedforward, model: ID, family: adain"],
)
def test_sweeps_do_not_paint_with_it(nst, method):
    with pytest.raises(UserError, match=REFUSAL):  # exit code 2
        sweep(nst, method.replace("ID", model().model_id[:8]), "plan")


def test_a_file_of_it_fails_its_cell_with_the_same_words(nst):
    result = sweep(nst, "feedforward, model: small.safetensors")
    assert result.exit_code == 1
    assert "a student network measures pictures and makes none" in told(result)


def test_single_pictures_and_graphs_are_refused(nst):
    for wanted in (model().model_id[:8], "small.safetensors"):
        with pytest.raises(UserError, match=REFUSAL):
            nst("stylize", "photographs/0.png", "--model", wanted, "--out", "painted.png")
    with pytest.raises(UserError, match="no model"):  # it is no network that paints in any style
        nst("stylize", "photographs/0.png", "--style", "styles/dots.png")
    network = network_from(*parse_tensors("small", Path("small.safetensors").read_bytes()))
    with pytest.raises(InputError, match=REFUSAL):
        to_onnx(network, {})


@pytest.mark.parametrize("weights", ["small.safetensors", "embedded"])
@pytest.mark.parametrize("family", ["adain", "mgan"])
def test_narrow_weights_encode_for_a_network_that_paints(nst, folder, family, weights):
    text = MANIFEST.replace(
        "  filters: [6, 6, 8]\n  size: 16\n  crops: 8\n  steps: 4\n", "  layer: relu2_1\n  steps: 2\n"
    )
    text = text.replace("family: student", f"family: {family}\n  size: 32").replace("  content_layers: relu2_1\n", "")
    text = text.replace("  style_layers: [relu1_1, relu2_1]\n", "  style_layers: relu2_1\n")
    text = text.replace("styles: styles/\n", "styles: styles/dots.png\n").replace("teacher.safetensors", weights)
    (folder / "decoder.yaml").write_text(text)
    result = nst("run", "decoder.yaml", "--inline", "--devices", "cpu", "--root", f"{family}-{weights}")
    assert result.exit_code == 0, result.output
    (row,) = trained_models(open_root(f"{family}-{weights}").catalog)
    style = ["--style", "styles/stripes.png"] if family == "adain" else []
    asked = ["--model", row.model_id[:8], "--root", f"{family}-{weights}", "--out", "painted.png", *style]
    result = nst("stylize", "photographs/0.png", *asked)
    assert result.exit_code == 0, result.output
    assert decode(Path("painted.png").read_bytes()).shape == (48, 72, 3)


def test_interrupted_it_goes_on_to_the_same_file(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    prepared = planned(str(folder / "small.yaml"), tmp_path / "again")
    (spec,) = prepared.to_do

    def stop(step, _):
        if step == 3:
            raise TransientError("the store did not answer")

    with pytest.raises(TransientError):
        train(prepared.job(spec), prepared.root.catalog, "cpu", stop)
    train_alone(str(folder / "small.yaml"), tmp_path / "again")
    whole, resumed = (
        open_root(str(place)).catalog.read("models").to_pylist()[0] for place in (folder / "out", tmp_path / "again")
    )
    assert resumed["weights_digest"] == whole["weights_digest"]
    assert (whole["resumed"], resumed["resumed"]) == (0, 1)
    assert whole["filters"] == "[6,6,8]"
