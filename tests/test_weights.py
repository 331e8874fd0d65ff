"""Weights files: data, never code."""

from __future__ import annotations

import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from orders import planned
from safetensors.torch import save

from flows.engine import InlineEngine
from flows.order.sweep import run_sweep
from nst.backbones import random_weights
from nst.config.architectures import ARCHITECTURES
from nst.config.backbone import BackboneConfig
from nst.errors import InputError, UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.doctor import examine
from tasks.models.backbone_weights import fetch_weights, load_weights
from tasks.work.stylize import Stylist
from tasks.work.workers import DevicePool

TENSORS = {
    "features.0.weight": torch.ones(2, 3, 3, 3),
    "features.0.bias": torch.zeros(2),
    "classifier.weight": torch.ones(1),
}
CONFIG = BackboneConfig()


def identity(path):
    return f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}"


def load(path):
    return load_weights(CONFIG, str(path), identity(path))


def test_safetensors_and_pth_load_alike(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(save(TENSORS))
    torch.save(TENSORS, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        loaded = load(tmp_path / name)
        assert set(loaded) == {"features.0.weight", "features.0.bias"}
        assert torch.equal(loaded["features.0.weight"], TENSORS["features.0.weight"])


class Malicious:
    def __reduce__(self):
        return (print, ("code in a pickle was run",))


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_code_in_a_pickle_is_not_run(tmp_path, capsys, name):
    (tmp_path / name).write_bytes(pickle.dumps({"features.0.weight": Malicious()}))
    with pytest.raises(InputError, match=name):
        load(tmp_path / name)
    torch.save({"features.0.weight": Malicious()}, tmp_path / name)
    with pytest.raises(InputError, match=name):
        load(tmp_path / name)
    assert "was run" not in capsys.readouterr().out


def test_a_file_without_vgg_layers_says_what_it_holds(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(save({"conv.weight": torch.ones(1)}))
    with pytest.raises(InputError, match=r"conv\.weight"):
        load(tmp_path / "w.safetensors")


def test_torchvisions_weights_are_taken_from_torchs_cache_only_with_their_digest(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there: the download fails at once
    with pytest.raises(UserError, match="neither in torch's cache nor") as caught:
        fetch_weights("vgg16")
    assert "embedded" in caught.value.hint
    # What lies in the cache is used without asking the network, and only if it is the file that was planned.
    cached = in_cache(tmp_path, "vgg16")
    torch.save(TENSORS, cached)
    config, beginning = BackboneConfig(name="vgg16"), identity(cached).removeprefix("sha256-")[:8]
    loaded = load_weights(config, "torchvision", f"torchvision-vgg16-{beginning}")
    assert set(loaded) == {"features.0.weight", "features.0.bias"}
    with pytest.raises(InputError, match=r"vgg16-397923af.pth: the file has changed"):
        load_weights(config, "torchvision", "torchvision-vgg16-397923af")


def in_cache(home, name):
    folder = home / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / ARCHITECTURES[name].file


def test_another_file_in_the_cache_stops_a_run_before_its_cells_and_is_bad_to_the_doctor(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = in_cache(tmp_path, "vgg19")
    cached.write_bytes(np.random.default_rng(0).bytes(200_000))
    digest = hashlib.sha256(cached.read_bytes()).hexdigest()
    (tmp_path / "cat.png").write_bytes(encode(skimage.data.chelsea()[::8, ::8], OutputFormat(), {}))
    (tmp_path / "m.yaml").write_text("name: x\ncontents: cat.png\nstyles: cat.png\nmethod: gatys\n")
    prepared = planned(tmp_path / "m.yaml", tmp_path / "out")
    with pytest.raises(UserError) as caught:
        run_sweep(prepared, DevicePool(prepared.root, ["cpu"]), InlineEngine(1))
    assert str(cached) in caught.value.message
    assert digest[:16] in caught.value.message
    assert "\n" not in caught.value.message
    assert prepared.root.catalog.counts("failures") == {}
    (finding,) = [found for found in examine(str(tmp_path / "out")) if str(cached) in found.text]
    assert finding.level == "bad"


def test_the_right_file_in_the_cache_is_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cached = in_cache(tmp_path, "squeezenet")
    cached.write_bytes(b"some weights")
    beginning = hashlib.sha256(b"some weights").hexdigest()[:8]
    known = replace(ARCHITECTURES["squeezenet"], file=f"squeezenet1_1-{beginning}.pth")
    monkeypatch.setitem(ARCHITECTURES, "squeezenet", known)
    cached.rename(cached.with_name(known.file))
    fetch_weights("squeezenet")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_weights_that_changed_after_planning_are_refused_by_name(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(save(TENSORS))
    planned = identity(path)
    path.write_bytes(save({**TENSORS, "features.0.bias": torch.ones(2)}))
    with pytest.raises(InputError, match=f"{name}: the file has changed"):
        load_weights(CONFIG, str(path), planned)


def test_cells_whose_backbone_changed_after_planning_fail_with_the_name_of_its_file(tmp_path):
    (tmp_path / "cat.png").write_bytes(encode(skimage.data.chelsea()[::8, ::8], OutputFormat(), {}))
    own = tmp_path / "own.safetensors"
    own.write_bytes(save(random_weights("vgg16", 0, "relu1_1")))
    (tmp_path / "m.yaml").write_text(
        "name: x\ncontents: cat.png\nstyles: cat.png\nmethod: {name: gatys, size: 32, steps: 2, "
        "content_layers: relu1_1, style_layers: relu1_1, backbone: {name: vgg16, weights: own.safetensors}}\n"
    )
    prepared = planned(tmp_path / "m.yaml", tmp_path / "out")
    (batch,) = prepared.plan.batches()
    own.write_bytes(save(random_weights("vgg16", 1, "relu1_1")))
    (failure,) = Stylist(prepared.root, "cpu").run(prepared.job(batch)).failed
    assert failure.error_class == "InputError"
    assert "own.safetensors: the file has changed" in failure.message
    own.write_bytes(save(random_weights("vgg16", 0, "relu1_1")))
    outcome = Stylist(prepared.root, "cpu").run(prepared.job(batch))
    assert outcome.done == (batch.cells[0].cell_id,)
    assert outcome.seconds == prepared.root.catalog.read("results", ["batch_seconds"]).to_pylist()[0]["batch_seconds"]


def test_the_names_of_torchvisions_files_are_torchvisions():
    from torchvision import models

    for name, known in ARCHITECTURES.items():
        assert models.get_weight(known.weights).url.endswith(known.file), name
