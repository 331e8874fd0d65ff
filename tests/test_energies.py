"""Energies of the networks that absolute weights were made for, and weights converted through them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from cells import CONTENT, STYLES, objective_of, request, small
from safetensors.torch import load_file

from nst.backbones import VGG, random_weights
from nst.config import GatysConfig
from nst.config.energies import AUTHORS, CAFFE_VGG19, TORCHVISION_VGG16, TORCHVISION_VGG19
from nst.errors import InputError
from nst.losses.gram import gram_energy, gram_statistics
from nst.losses.style import STYLE_LOSSES
from nst.methods import stylize_batch
from nst.ops import to_tensor
from nst.pictures.images import decode, resize_to
from nst.workspace import Workspace

LAYERS = {"content_layers": {"relu2_1": 1.0}, "style_layers": {"relu1_1": 1.0, "relu2_1": 2.0}}


def relative_weights(**settings):
    """The weights of the terms of a picture, in relative units."""
    config = small(GatysConfig, pyramid={"levels": 1}, **LAYERS | settings)
    objective = objective_of(request(config))
    return {(term.name, term.layer): term.weights.item() for term in objective.terms}


@pytest.mark.parametrize("units", sorted(AUTHORS))
def test_converted_weights_are_the_same_on_every_network(units):
    weights = [
        relative_weights(units=units, energies="author", backbone={"weights": "random", "seed": seed})
        for seed in (0, 1)
    ]
    assert weights[0] == weights[1]
    own = [relative_weights(units=units, backbone={"weights": "random", "seed": seed}) for seed in (0, 1)]
    assert own[0] != own[1]


def test_weights_of_jcjohnson_are_what_his_formula_gives_on_caffes_network():
    """Content 5 times the mean square; style 100 |A|^2 / C^4 with A = F F^T / (H W); half the squared TV in 0..255."""
    found = relative_weights(preset="jcjohnson", backbone={"weights": "random"})
    caffe = CAFFE_VGG19.layers
    assert found["content", "relu2_1"] == pytest.approx(5 * caffe["relu2_1"].photographs, rel=1e-6)
    assert found["style", "relu1_1"] == pytest.approx(100 * caffe["relu1_1"].gram / 64**4, rel=1e-6)
    assert found["style", "relu2_1"] == pytest.approx(2 * 100 * caffe["relu2_1"].gram / 128**4, rel=1e-6)
    assert found["tv", None] == pytest.approx(0.001 * 0.5 * 255**2 * 3 * 40 * 32, rel=1e-6)


def test_weights_of_crowsonkb_are_mean_squares():
    """|m|^2 + tr S, divided by C, is the mean square over channels."""
    found = relative_weights(preset="crowsonkb", backbone={"weights": "random"})
    layers = TORCHVISION_VGG19.layers
    assert found["content", "relu2_1"] == pytest.approx(0.015 * layers["relu2_1"].photographs, rel=1e-6)
    assert found["style", "relu2_1"] == pytest.approx(2 * layers["relu2_1"].paintings, rel=1e-6)
    assert found["tv", None] == 2.0


def test_a_narrower_network_counts_the_authors_filters():
    """`draft` has a quarter of VGG-19's filters; a weight of it must not be 4^4 times as large."""
    weights = {key: tensor[: max(1, len(tensor) // 4)] for key, tensor in random_weights("vgg19", 0, "relu1_1").items()}
    layers = {"content_layers": {"relu1_1": 1.0}, "style_layers": {"relu1_1": 1.0}}
    config = small(GatysConfig, units="gatys", energies="author", steps=1, backbone={"weights": "narrow.pth"}, **layers)
    (result,) = stylize_batch([request(config)], Workspace("cpu", lambda _: weights))
    expected = config.style_weight * CAFFE_VGG19.layers["relu1_1"].gram / 64**4
    assert result.losses.terms["style"].weight_relative == pytest.approx(expected, rel=1e-6)


def test_jcjohnsons_printed_energy_is_within_the_spread_of_ours():
    """INSTALL.md prints 30021 for the style at relu1_1, with the weight 100: the energy of his painting / 64^4."""
    ours = 100 * CAFFE_VGG19.layers["relu1_1"].gram / 64**4
    assert ours == pytest.approx(30021, rel=0.1)


@pytest.mark.parametrize("network", [CAFFE_VGG19, TORCHVISION_VGG19, TORCHVISION_VGG16], ids=lambda n: n.title)
def test_energies_keep_the_bounds_of_gram_matrices(network):
    """A positive semidefinite matrix A with trace t = C p has t^2 / C <= |A|^2 <= t^2."""
    for layer in network.layers.values():
        trace = layer.channels * layer.paintings
        assert trace**2 / layer.channels <= layer.gram <= trace**2
        assert layer.of_style("moments") == trace


@pytest.mark.parametrize("representation", ["gram", "moments", "sliced", "histogram"])
def test_an_energy_is_what_the_style_loss_is_divided_by(representation):
    maps = VGG("vgg19", ["relu1_1"], random_weights("vgg19", 0, "relu1_1"), pooling="average")(
        to_tensor(resize_to(STYLES[0].array, 40, 40)[None], torch.device("cpu"), torch.float32)
    )["relu1_1"]
    layer = replace(
        CAFFE_VGG19.layers["relu1_1"],
        paintings=maps.square().mean().item(),
        gram=gram_energy(gram_statistics(maps)).item(),
    )
    loss = STYLE_LOSSES[representation]
    energy = loss.energy(loss.statistics(maps)).item()
    assert layer.of_style(loss.unit) == pytest.approx(energy, rel=0.02)  # random directions of `sliced`


def test_a_preset_refuses_a_file_that_is_not_its_authors():
    weights = random_weights("vgg19", 0, "relu2_1")
    config = small(GatysConfig, preset="gatys", steps=1, backbone={"weights": "other.pth"}, **LAYERS)
    with pytest.raises(InputError, match=re.escape("does not hold Caffe's VGG-19")):
        stylize_batch([request(config)], Workspace("cpu", lambda _: weights))
    scaled = weights["features.0.weight"] * (0.1914 / weights["features.0.weight"].square().mean().sqrt())
    (result,) = stylize_batch(
        [request(config)], Workspace("cpu", lambda _: weights | {"features.0.weight": scaled.half().float()})
    )
    assert result.error is None


def test_the_network_sees_blue_first_where_its_weights_were_made_so():
    weights = random_weights("vgg19", 0, "conv1_1")
    flipped = weights | {"features.0.weight": weights["features.0.weight"].flip(1)}
    images = to_tensor(CONTENT.array[None], torch.device("cpu"), torch.float32)
    rgb = VGG("vgg19", ["conv1_1"], weights, inputs="caffe")(images)["conv1_1"]
    bgr = VGG("vgg19", ["conv1_1"], flipped, inputs="caffe_bgr")(images)["conv1_1"]
    torch.testing.assert_close(bgr, rgb, rtol=1e-4, atol=1e-3)  # values of a few hundred, in float32


def test_planning_says_what_is_converted_and_what_is_estimated():
    (remark,) = GatysConfig(preset="jcjohnson", backbone={"weights": "embedded"}).remarks()
    assert "units jcjohnson" in remark
    assert "Caffe's VGG-19" in remark
    assert "weights embedded" in remark
    assert remark.endswith("(relu4_1: by an estimate)")
    assert not list(GatysConfig(preset="jcjohnson", backbone={"weights": "caffe.pth"}).remarks())
    assert not list(GatysConfig(preset="crowsonkb").remarks())
    assert not list(GatysConfig().remarks())


def test_a_remark_shows_no_signature():
    signed = {"weights": "https://host/vgg19.pth?signature=abc", "input": "torchvision"}
    (remark,) = GatysConfig(preset="jcjohnson", backbone=signed).remarks()
    assert "https://host/vgg19.pth" in remark
    assert "abc" not in remark


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "inputs", "network"),
    [
        ("vgg19_caffe_to_conv3_1.f32", "caffe", CAFFE_VGG19),
        ("vgg19_torchvision_to_conv2_1.f32", "torchvision", TORCHVISION_VGG19),
    ],
)
def test_measured_energies_are_those_of_real_weights(shared_data, file, inputs, network):
    """A real photograph and a real painting lie within three standard deviations of the stored means."""
    tensors = load_file(shared_data / f"weights/{file}.safetensors")
    first = tensors["features.0.weight"].square().mean().sqrt().item()
    assert first == pytest.approx(network.first_weights, rel=1e-3)
    layers = [layer for layer, energy in network.layers.items() if energy.measured]
    backbone = VGG("vgg19", layers, tensors, inputs=inputs)
    pictures = [
        decode((shared_data / "images" / name).read_bytes()) for name in ("content/tubingen.jpg", "style/udnie.jpg")
    ]
    with torch.no_grad():
        photograph, painting = (
            backbone(to_tensor(resize_to(array, 256, 192)[None], torch.device("cpu"), torch.float32))
            for array in pictures
        )
    for layer in layers:
        energy = network.layers[layer]
        assert abs(np.log(photograph[layer].square().mean().item() / energy.photographs)) < 3 * np.log(1.6)
        assert abs(np.log(gram_energy(gram_statistics(painting[layer])).item() / energy.gram)) < 3 * np.log(2.6)
