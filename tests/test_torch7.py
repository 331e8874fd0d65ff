"""Networks and weights of torch7, from files that the tests write byte for byte in torch7's format."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from imports import imported
from test_importing import DECODER, VGG, sequential
from torch.nn import functional
from torch7_files import Module, chain, t7

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.errors import InputError
from tasks.inputs.tensor_headers import tensor_shapes
from tasks.models.backbone_weights import load_weights

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

MEAN = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
"""Mean of B, G and R, as torch7's programs subtract it."""

RANDOM = np.random.default_rng(5)


def draw(*shape: int) -> np.ndarray:
    size = int(np.prod(shape[1:])) or 1
    return (RANDOM.standard_normal(shape) / size**0.5).astype(np.float32)


# ---- fast-neural-style ----------------------------------------------------------------------------------------------
def conv(channels: int, filters: int, side: int, stride: int = 1, pad: int = 0) -> Module:
    sizes = {"kW": side, "kH": side, "dW": stride, "dH": stride, "padW": pad, "padH": pad}
    return Module("nn.SpatialConvolution", sizes, weight=draw(filters, channels, side, side), bias=draw(filters))


def full_conv(channels: int, filters: int) -> Module:
    sizes = {"kW": 3, "kH": 3, "dW": 2, "dH": 2, "padW": 1, "padH": 1, "adjW": 1, "adjH": 1}
    return Module("nn.SpatialFullConvolution", sizes, weight=draw(channels, filters, 3, 3), bias=draw(filters))


def norm(channels: int, kind: str = "Instance") -> Module:
    weights = {"weight": 1.0 + draw(channels), "bias": draw(channels), "eps": 1e-5}
    if kind == "Batch":
        weights |= {"running_mean": draw(channels), "running_var": 0.5 + draw(channels) ** 2}
        return Module("nn.SpatialBatchNormalization", weights)
    return Module("nn.InstanceNormalization", weights)


def pad(kind: str, side: int) -> Module:
    return Module(f"nn.Spatial{kind}Padding", dict.fromkeys(("pad_l", "pad_r", "pad_t", "pad_b"), side))


def fast_neural_style(kind: str) -> Module:
    """`c9s1-4,d8,R8,u4,c9s1-3`, whose residual block is not padded: the picture is, by reflection, before all else."""
    relu = Module("nn.ReLU", inplace=True)
    block = chain(conv(8, 8, 3), norm(8, kind), relu, conv(8, 8, 3), norm(8, kind))
    table = chain(block, Module("nn.ShaveImage", size=2), name="nn.ConcatTable")
    return chain(
        pad("Reflection", 4),
        *(conv(3, 4, 9, pad=4), norm(4, kind), relu, conv(4, 8, 3, 2, 1), norm(8, kind), relu),
        chain(table, Module("nn.CAddTable", inplace=False)),
        *(full_conv(8, 4), norm(4, kind), relu, conv(4, 3, 9, pad=4)),
        *(Module("nn.Tanh"), Module("nn.MulConstant", constant_scalar=150), Module("nn.TotalVariation", strength=1e-6)),
    )


def computed(module: Module, x: Any, *, trained: bool) -> Any:
    """Plainly: what torch7's module makes of a map, or of a table of maps."""
    f = {key: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for key, v in module.fields.items()}
    inner = list(module.fields.get("modules", {}).values())
    if module.name == "nn.Sequential":
        return functools.reduce(lambda y, part: computed(part, y, trained=trained), inner, x)
    made = [computed(part, x, trained=trained) for part in inner]
    weights = f.get("weight"), f.get("bias")
    statistics = f.get("running_mean"), f.get("running_var")
    sides = [f.get(side, 0) for side in ("pad_l", "pad_r", "pad_t", "pad_b")]

    def batch_norm() -> Tensor:
        if trained:
            return functional.batch_norm(x, *statistics, *weights, eps=1e-5)
        return functional.instance_norm(x, weight=weights[0], bias=weights[1], eps=1e-5)

    return {
        "Concat": lambda: torch.cat(made, 1),
        "ConcatTable": lambda: made,
        "CAddTable": lambda: x[0] + x[1],
        "ShaveImage": lambda: x[:, :, f["size"] : -f["size"], f["size"] : -f["size"]],
        "SpatialReflectionPadding": lambda: functional.pad(x, sides, mode="reflect"),
        "SpatialReplicationPadding": lambda: functional.pad(x, sides, mode="replicate"),
        "SpatialConvolution": lambda: functional.conv2d(x, *weights, f["dW"], f["padW"]),
        "SpatialFullConvolution": lambda: functional.conv_transpose2d(x, *weights, 2, 1, 1),
        "SpatialBatchNormalization": batch_norm,
        "InstanceNormalization": lambda: functional.instance_norm(x, weight=weights[0], bias=weights[1], eps=1e-5),
        "SpatialAveragePooling": lambda: functional.avg_pool2d(x, f["kW"]),
        "SpatialUpSamplingNearest": lambda: x.repeat_interleave(2, 2).repeat_interleave(2, 3),
        "MulConstant": lambda: x * f["constant_scalar"],
        "ReLU": lambda: functional.relu(x),
        "Tanh": lambda: torch.tanh(x),
    }.get(module.name.removeprefix("nn."), lambda: x)()


def as_vgg_sees(image: Tensor) -> Tensor:
    return image.flip(1) * 255 - MEAN


def check_picture(picture: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(picture, expected, atol=1e-4, rtol=1e-3)
    assert expected.std() > 0.05


@pytest.mark.parametrize("kind", ["Instance", "Batch"])
def test_a_network_of_fast_neural_style_computes_what_its_authors_does(tmp_path: Path, kind: str):
    net = fast_neural_style(kind)
    options = {"preprocessing": "vgg", "arch": "c9s1-4,d8,R8,u4,c9s1-3", "loss": {1: 0.5}}
    (tmp_path / "candy.t7").write_bytes(t7({"model": net, "opt": options, "val_loss_history": {1: 3.0}}))
    ours, image = imported(tmp_path, "candy.t7"), torch.rand(1, 3, 32, 40)
    assert ours.multiple == 2
    with torch.no_grad():
        made = computed(net, as_vgg_sees(image), trained=True)
        check_picture(ours(image), ((made + MEAN) / 255).flip(1))


def test_tiles_know_how_far_a_network_sees(tmp_path: Path):
    """Beyond the margin nothing changes the picture, apart from the statistics of norms: with fixed ones, nothing."""
    (tmp_path / "x.t7").write_bytes(t7({"model": fast_neural_style("Batch"), "opt": {}}))
    ours, image = imported(tmp_path, "x.t7"), torch.rand(1, 3, 32, 96)
    assert ours.margin is not None
    changed = image.clone()
    changed[..., :8] = 0.0
    with torch.no_grad():
        unlike = (ours(image) - ours(changed)).abs().amax((0, 1, 2)) > 0
    assert int(unlike.nonzero().max()) in range(8 + ours.margin // 2, 8 + ours.margin)


# ---- texture_nets ---------------------------------------------------------------------------------------------------
def padded(channels: int, filters: int, side: int) -> Module:
    return (
        chain(pad("Replication", side // 2), conv(channels, filters, side)) if side > 1 else conv(channels, filters, 1)
    )


def pyramid(kind: str) -> Module:
    """Two levels of the pyramid of texture_nets, of four channels each."""

    def level(ratio: int) -> list[Module]:
        pooled = Module("nn.SpatialAveragePooling", kW=ratio, kH=ratio, dW=ratio, dH=ratio, padW=0, padH=0)
        parts = [pooled, padded(3, 4, 3), norm(4, kind), Module("nn.ReLU"), padded(4, 4, 1), norm(4, kind)]
        return [*parts, Module("nn.ReLU")]

    coarse = chain(*level(2), Module("nn.SpatialUpSamplingNearest", scale_factor=2), norm(4, kind))
    both = chain(coarse, chain(*level(1), norm(4, kind)), name="nn.Concat", dimension=2)
    last = conv(8, 3, 1)
    last.fields["weight"] = last.fields["weight"] * np.float32(60)
    return chain(Module("nn.TVLoss", strength=0), both, padded(8, 8, 3), norm(8, kind), Module("nn.ReLU"), last)


@pytest.mark.parametrize("kind", ["Instance", "Batch"])
def test_a_network_of_texture_nets_computes_what_its_authors_does(tmp_path: Path, kind: str):
    net = pyramid(kind)
    (tmp_path / "model.t7").write_bytes(t7(net))
    ours, image = imported(tmp_path, "model.t7"), torch.rand(1, 3, 24, 36)
    with torch.no_grad():
        check_picture(ours(image), ((computed(net, image, trained=False) + MEAN) / 255).flip(1))


def test_modules_that_are_not_known_are_named(tmp_path: Path):
    (tmp_path / "x.t7").write_bytes(t7(chain(Module("nn.NoiseFill", num_noise_channels=3), conv(3, 3, 1))))
    with pytest.raises(InputError, match="has the module NoiseFill of torch7, which is not known"):
        imported(tmp_path, "x.t7")
    (tmp_path / "small.t7").write_bytes(t7(chain(conv(3, 3, 3))))
    with pytest.raises(InputError, match=r"returns \(1, 3, 14, 14\) of a picture"):
        imported(tmp_path, "small.t7")
    (tmp_path / "features.t7").write_bytes(t7(chain(conv(512, 3, 3))))
    with pytest.raises(InputError, match="takes no pictures"):
        imported(tmp_path, "features.t7")
    (tmp_path / "table.t7").write_bytes(t7({"a": 1.0}))
    with pytest.raises(InputError, match=r"holds no network of torch7: found dict"):
        imported(tmp_path, "table.t7")


def test_adain_of_torch7_has_the_names_of_its_successor_in_pytorch(tmp_path: Path):
    """xunhuang1995/AdaIN-style: the networks from which those of naoto0804/pytorch-AdaIN were converted."""
    made = [sequential(3, VGG), sequential(512, DECODER)]
    for name, net in zip(("vgg_normalised", "decoder"), made, strict=True):
        parts = [
            Module(
                "nn.SpatialConvolution" if isinstance(layer, torch.nn.Conv2d) else "nn.ReLU",
                {key: value.detach().numpy() for key, value in layer.named_parameters()},
            )
            for layer in net
        ]
        (tmp_path / f"{name}.t7").write_bytes(t7(chain(*parts)))
    ours, image = imported(tmp_path, "decoder.t7", "vgg_normalised.t7"), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        picture = ours(image, [[(ours.describe_style(image), 1.0)]])
        torch.testing.assert_close(picture, made[1](made[0][:31](image)), atol=1e-4, rtol=1e-3)


# ---- backbones ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("matrices", [False, True])
def test_a_backbone_of_torch7_computes_what_its_file_says(tmp_path: Path, matrices: bool):
    layers = [conv(3, 64, 3, pad=1), Module("nn.ReLU"), conv(64, 64, 3, pad=1), Module("nn.ReLU")]
    net = chain(*layers, Module("nn.SpatialMaxPooling", kW=2, kH=2, dW=2, dH=2), Module("nn.Dropout", p=0.5))
    image = torch.rand(1, 3, 12, 12)
    expected = computed(chain(*layers), as_vgg_sees(image), trained=True)
    if matrices:  # as nn.SpatialConvolutionMM writes them
        for layer in (layers[0], layers[2]):
            layer.name += "MM"
            layer.fields["weight"] = layer.fields["weight"].reshape(64, -1)
    path = tmp_path / "vgg19.t7"
    path.write_bytes(t7(net))
    with path.open("rb") as file:
        shapes = tensor_shapes(file, str(path), path.stat().st_size)
    assert shapes["features.2.weight"] == (64, 64, 3, 3)
    config = BackboneConfig(weights=str(path), input="caffe_bgr")
    tensors = load_weights(config, str(path), f"sha256-{hashlib.sha256(path.read_bytes()).hexdigest()}")
    assert {name: tuple(value.shape) for name, value in tensors.items()} == shapes
    found = build_backbone(config, ["relu1_2"], tensors)(image)["relu1_2"]
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)
