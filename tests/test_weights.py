"""Weights files: data, never code."""

from __future__ import annotations

import pickle

import pytest
import torch
from safetensors.torch import save

from nst.config.architectures import ARCHITECTURES
from nst.config.backbone import BackboneConfig
from nst.errors import InputError, UserError
from tasks.models.backbone_weights import fetch_weights, load_weights

TENSORS = {
    "features.0.weight": torch.ones(2, 3, 3, 3),
    "features.0.bias": torch.zeros(2),
    "classifier.weight": torch.ones(1),
}
CONFIG = BackboneConfig()


def test_safetensors_and_pth_load_alike(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(save(TENSORS))
    torch.save(TENSORS, tmp_path / "w.pth")
    for name in ("w.safetensors", "w.pth"):
        loaded = load_weights(CONFIG, str(tmp_path / name))
        assert set(loaded) == {"features.0.weight", "features.0.bias"}
        assert torch.equal(loaded["features.0.weight"], TENSORS["features.0.weight"])


class Malicious:
    def __reduce__(self):
        return (print, ("code in a pickle was run",))


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.safetensors"])
def test_code_in_a_pickle_is_not_run(tmp_path, capsys, name):
    (tmp_path / name).write_bytes(pickle.dumps({"features.0.weight": Malicious()}))
    with pytest.raises(InputError, match=name):
        load_weights(CONFIG, str(tmp_path / name))
    torch.save({"features.0.weight": Malicious()}, tmp_path / name)
    with pytest.raises(InputError, match=name):
        load_weights(CONFIG, str(tmp_path / name))
    assert "was run" not in capsys.readouterr().out


def test_a_file_without_vgg_layers_says_what_it_holds(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(save({"conv.weight": torch.ones(1)}))
    with pytest.raises(InputError, match=r"conv\.weight"):
        load_weights(CONFIG, str(tmp_path / "w.safetensors"))


def test_torchvisions_weights_are_taken_from_torchs_cache_only_with_their_digest(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there: the download fails at once
    with pytest.raises(UserError, match="neither in torch's cache nor") as caught:
        fetch_weights("vgg16")
    assert "random" in caught.value.hint
    # What lies in the cache is used without asking the network: torch checked its digest when it was downloaded.
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(TENSORS, folder / ARCHITECTURES["vgg16"].file)
    fetch_weights("vgg16")
    assert set(load_weights(BackboneConfig(name="vgg16"), "torchvision")) == {"features.0.weight", "features.0.bias"}


def test_the_names_of_torchvisions_files_are_torchvisions():
    from torchvision import models

    for name, known in ARCHITECTURES.items():
        assert models.get_weight(known.weights).url.endswith(known.file), name
