"""Weights that cannot serve are refused when a sweep or training is planned, where the manifest names them."""

from __future__ import annotations

import contextlib
import http.server
import io
import pickle
import re
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
import torch
from orders import planned
from safetensors.torch import save

from nst.backbones import build_backbone, random_weights
from nst.config import METHOD_CONFIGS
from nst.config.architectures import ARCHITECTURES, layers_of
from nst.config.backbone import BackboneConfig
from nst.config.convolutions import convolutions_of
from nst.errors import InputError, ManifestError
from nst.pictures.images import encode
from nst.planning.layers import measured_layers
from nst.records import OutputFormat
from tasks.inputs.manifest_source import read_manifest
from tasks.inputs.tensor_headers import tensor_shapes
from tasks.inputs.weights import WeightsRef, shapes_of
from tasks.planning.training import prepare_training
from tasks.root import open_root
from tasks.store import open_store

SHALLOW = random_weights("vgg16", 0, "relu2_1")

SWEEP = """\
name: x
contents: c.png
styles: c.png
method:
  name: gatys
  size: 32
  backbone: {name: vgg16, weights: WEIGHTS}
"""

TRAINING = """\
kind: train
name: x
photographs: c.png
styles: c.png
training: {family: johnson, backbone: {name: vgg16, weights: WEIGHTS}}
"""


def torch_file(tensors, path, *, legacy):
    torch.save(tensors, path, _use_new_zipfile_serialization=not legacy)


@pytest.fixture
def folder(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(encode(pixels, OutputFormat(), {}))
    return tmp_path


def refused(folder, weights, text=SWEEP):
    (folder / "m.yaml").write_text(text.replace("WEIGHTS", weights))
    with pytest.raises(ManifestError) as caught:
        planned(folder / "m.yaml", folder / "out")
    (problem,) = caught.value.problems
    return problem


def shapes(path):
    with path.open("rb") as file:
        return tensor_shapes(file, str(path), path.stat().st_size)


@pytest.mark.parametrize("kind", ["safetensors", "pth", "legacy.pth"])
def test_weights_without_the_layers_are_refused_at_their_place(folder, kind):
    path = folder / f"shallow.{kind}"
    if kind == "safetensors":
        path.write_bytes(save(SHALLOW))
    else:
        torch_file(SHALLOW, path, legacy=kind.startswith("legacy"))
    problem = refused(folder, path.name)
    assert (problem.line, problem.column) == (7, 36)
    assert f"{path.name}: the weights hold no features.7.weight (conv2_2 of vgg16)" in problem.message
    assert "choose layers up to relu2_1" in problem.hint
    (folder / "m.yaml").write_text(
        SWEEP.replace("WEIGHTS", path.name) + "  content_layers: relu2_1\n  style_layers: [relu1_1, conv2_1]\n"
    )
    assert planned(folder / "m.yaml", folder / "out").plan.total == 1


def test_one_deep_point_of_a_sweep_is_enough_and_is_reported_once(folder):
    (folder / "shallow.safetensors").write_bytes(save(SHALLOW))
    layers = "  style_layers: relu1_1\n  content_layers: relu1_1\nsweep: {content_layers: [[relu2_1], [relu3_1]]}\n"
    assert "features.7.weight" in refused(folder, "shallow.safetensors", SWEEP + layers).message


def test_weights_of_another_shape_or_network_are_refused(folder):
    (folder / "grey.safetensors").write_bytes(save({**SHALLOW, "features.0.weight": torch.ones(64, 1, 3, 3)}))
    message = refused(folder, "grey.safetensors").message
    assert "features.0.weight (conv1_1 of vgg16) has shape (64, 1, 3, 3); expected (64, 3, 3, 3)" in message
    (folder / "other.safetensors").write_bytes(save({"conv.weight": torch.ones(2)}))
    problem = refused(folder, "other.safetensors")
    assert "they hold none of its layers" in problem.message
    assert "another network" in problem.hint


def test_a_narrower_vgg_is_accepted_and_one_that_does_not_fit_together_is_refused(folder):
    whole = random_weights("vgg16", 0, "relu5_1")
    halves = {key: tensor[: len(tensor) // 2] for key, tensor in whole.items()}
    narrow = {key: t[:, : t.shape[1] // 2] if t.dim() == 4 and t.shape[1] > 3 else t for key, t in halves.items()}
    (folder / "narrow.safetensors").write_bytes(save({key: tensor.clone() for key, tensor in narrow.items()}))
    (folder / "m.yaml").write_text(SWEEP.replace("WEIGHTS", "narrow.safetensors"))
    assert planned(folder / "m.yaml", folder / "out").plan.total == 1
    broken = {key: whole[key] if key.startswith("features.2.") else tensor.clone() for key, tensor in narrow.items()}
    (folder / "broken.safetensors").write_bytes(save(broken))
    message = refused(folder, "broken.safetensors").message
    assert "features.2.weight (conv1_2 of vgg16) has shape (64, 64, 3, 3); expected (64, 32, 3, 3)" in message


@pytest.mark.parametrize("name", ["picture.png", "picture.safetensors", "picture.pth"])
def test_a_file_of_another_kind_is_refused(folder, name):
    (folder / name).write_bytes((folder / "c.png").read_bytes())
    problem = refused(folder, name)
    assert f"{name} is not a" in problem.message
    assert "weights are a .safetensors file, a .pth file" in problem.hint


def test_a_training_is_refused_as_a_sweep_is(folder):
    (folder / "shallow.safetensors").write_bytes(save(SHALLOW))
    (folder / "m.yaml").write_text(TRAINING.replace("WEIGHTS", "shallow.safetensors"))
    with pytest.raises(ManifestError) as caught:
        prepare_training(read_manifest(str(folder / "m.yaml")), open_root(str(folder / "out")))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (5, 62)
    assert "features.7.weight" in problem.message


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_shapes_that_planning_expects_are_those_of_torchvision(architecture):
    from torchvision import models

    name = ARCHITECTURES[architecture].weights.partition("_Weights")[0].lower()
    network = models.get_model(name, weights=None)
    theirs = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    for convolution in convolutions_of(architecture):
        for key, shape in convolution.shapes.items():
            assert theirs[key] == shape


@pytest.mark.parametrize("legacy", [False, True])
def test_names_and_shapes_are_those_that_torch_loads(tmp_path, legacy):
    tensors = {
        "a.weight": torch.ones(2, 3, dtype=torch.float16),
        "b": torch.nn.Parameter(torch.ones(4, 5)[::2]),
        "scalar": torch.tensor(1.0),
    }
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))  # its state has attributes
    for number, given in enumerate((tensors, model.state_dict())):
        path = tmp_path / f"{number}.pth"
        torch_file(given, path, legacy=legacy)
        assert shapes(path) == {key: tuple(tensor.shape) for key, tensor in given.items()}


class Malicious:
    def __reduce__(self):
        return (print, ("code in a pickle was run",))


def test_nothing_that_a_pickle_names_is_run(tmp_path, capsys):
    torch_file({"features.0.weight": Malicious(), "real": torch.ones(3)}, tmp_path / "w.pth", legacy=False)
    with pytest.raises(InputError, match=r"w\.pth is not a file of torch's weights: it calls '__builtin__\.print'"):
        shapes(tmp_path / "w.pth")
    (tmp_path / "raw.pth").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(InputError, match=r"raw\.pth is not a file of torch's weights"):
        shapes(tmp_path / "raw.pth")
    assert "was run" not in capsys.readouterr().out


def test_damaged_files_are_one_clear_error(tmp_path):
    whole = save(SHALLOW)
    stored = io.BytesIO()
    torch.save(SHALLOW, stored)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(40 * 2**20))
    cases = {
        "cut.safetensors": whole[:-100],
        "header.safetensors": whole[:50],
        "empty.safetensors": b"",
        "deep.safetensors": (60_000).to_bytes(8, "little") + b"[" * 60_000,
        "list.safetensors": (2).to_bytes(8, "little") + b"[]",
        "cut.pth": stored.getvalue()[:2000],
        "empty.pth": b"",
        "bomb.pth": bomb.getvalue(),
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            shapes(tmp_path / name)
    rng = np.random.default_rng(0)
    for number in range(300):  # whatever is damaged, the error is the user's
        data = bytearray(stored.getvalue() if number % 2 else whole)
        for place in rng.integers(0, 3000, 8):
            data[place] = rng.integers(256)
        path = tmp_path / ("w.pth" if number % 2 else "w.safetensors")
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            assert isinstance(shapes(path), dict)


def test_a_file_in_a_bucket_is_read_once_for_its_shapes(tmp_path):
    far, root = open_store("memory://weights"), open_store(tmp_path)
    far.put("w.safetensors", save(SHALLOW))
    weights = WeightsRef("memory://weights/w.safetensors", "sha256-abc")
    first = shapes_of(weights, root)
    far.delete("w.safetensors")
    assert shapes_of(weights, root) == first == {key: tuple(tensor.shape) for key, tensor in SHALLOW.items()}


@pytest.mark.parametrize("method", [name for name in METHOD_CONFIGS if METHOD_CONFIGS[name]().loss_network])
def test_every_method_tells_layers_that_its_backbone_has(method):
    config = METHOD_CONFIGS[method].model_validate({"name": method})
    layers = measured_layers(config, config.backbone.name)
    assert layers <= set(layers_of(config.backbone.name))
    build_backbone(BackboneConfig(name=config.backbone.name, weights="random"), layers, None)


def test_planning_reads_headers_without_torch(folder):
    torch_file(random_weights("vgg16", 0, "relu5_1"), folder / "w.pth", legacy=False)
    (folder / "m.yaml").write_text(SWEEP.replace("WEIGHTS", "w.pth"))
    code = (
        "import sys\nfrom flows.__main__ import main\nsys.argv = ['nst', 'plan', 'm.yaml']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'torch' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def _no_cache(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.usefixtures("_no_cache")
def test_a_download_that_cannot_be_had_is_refused_with_the_line_to_write(folder, monkeypatch):
    monkeypatch.setattr("tasks.inputs.weights._TORCHVISION_SITE", "http://127.0.0.1:9")
    problem = refused(folder, "torchvision")
    assert (problem.line, problem.column) == (7, 36)
    assert f"torchvision's weights of vgg16 are not in {folder}/cache/torch/hub/checkpoints" in problem.message
    (offered,) = re.findall(r"write backbone: (\{.*\})", problem.hint)
    (folder / "m.yaml").write_text(SWEEP.replace("{name: vgg16, weights: WEIGHTS}", offered))
    assert planned(folder / "m.yaml", folder / "out").plan.to_do == 1
    problem = refused(folder, "torchvision", TRAINING)
    (folder / "m.yaml").write_text(TRAINING.replace("{name: vgg16, weights: WEIGHTS}", offered))
    assert len(planned(folder / "m.yaml", folder / "out").to_do) == 1


@pytest.mark.usefixtures("_no_cache")
def test_a_download_that_can_be_had_or_is_there_is_planned(folder, monkeypatch):
    class Site(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200 if self.path == "/vgg16-397923af.pth" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    (folder / "m.yaml").write_text(SWEEP.replace("WEIGHTS", "torchvision"))
    with http.server.HTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setattr("tasks.inputs.weights._TORCHVISION_SITE", f"http://127.0.0.1:{server.server_port}")
        assert planned(folder / "m.yaml", folder / "out").plan.to_do == 1
        server.shutdown()
    monkeypatch.setattr("tasks.inputs.weights._TORCHVISION_SITE", "http://127.0.0.1:9")
    there = folder / "cache/torch/hub/checkpoints/vgg16-397923af.pth"
    there.parent.mkdir(parents=True)
    there.touch()
    assert planned(folder / "m.yaml", folder / "out").plan.to_do == 1


@pytest.mark.usefixtures("_no_cache")
def test_nothing_is_asked_for_when_all_is_done(folder, monkeypatch):
    monkeypatch.setattr("tasks.inputs.weights._TORCHVISION_SITE", "http://127.0.0.1:9")
    there = folder / "cache/torch/hub/checkpoints/vgg16-397923af.pth"
    there.parent.mkdir(parents=True)
    there.touch()
    (folder / "m.yaml").write_text(SWEEP.replace("WEIGHTS", "torchvision"))
    plan = planned(folder / "m.yaml", folder / "out").plan
    there.unlink()
    rows = [{"cell_id": cell_id} for cell_id in plan.cells.ids]
    open_root(str(folder / "out")).catalog.commit("results", "sweep", "batch", rows)
    assert planned(folder / "m.yaml", folder / "out").plan.to_do == 0
