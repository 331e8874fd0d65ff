"""MicroAST as its authors publish it computes what its authors' network does, in one file or in four."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from imports import imported, photograph
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from nst.errors import InputError
from nst.networks.importing import import_network
from nst.networks.tiling import run_in_tiles
from nst.pictures.images import decode, resize

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def microast_picture(tensors: dict[str, Tensor], content: Tensor, style: Tensor, alpha: float) -> Tensor:
    """Plainly: what MicroAST's `TestNet` computes, but for its variances, which divide by one less."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        weight, bias = tensors[f"{name}.conv_layer.weight"], tensors[f"{name}.conv_layer.bias"]
        padded = nn.ReflectionPad2d(weight.shape[2] // 2)(x)
        return functional.conv2d(padded, weight, bias, stride, groups=x.shape[1] // weight.shape[1])

    def block(name: str, x: Tensor, weight: Tensor | float = 1.0, bias: Tensor | float = 0.0) -> Tensor:
        y = (weight * conv(f"{name}.conv1", x) + bias * x).relu()
        return x + weight * conv(f"{name}.conv2", y) + bias * y

    def encode(name: str, x: Tensor) -> list[Tensor]:
        for index, stride in ((0, 1), (2, 2), (4, 1), (6, 2), (8, 1)):
            x = conv(f"{name}.enc1.{index}", x, stride).relu()
        first = block(f"{name}.enc1.10", x)
        return [first, block(f"{name}.enc2.0", first)]

    def adain(x: Tensor, s: Tensor) -> Tensor:
        (m, v), (n, w) = ((t.mean((2, 3), keepdim=True), t.var((2, 3), correction=0, keepdim=True)) for t in (x, s))
        return alpha * ((x - m) / (v + 1e-5).sqrt() * (w + 1e-5).sqrt() + n) + (1 - alpha) * x

    s = encode("style_encoder", style)
    mean = {
        (what, i): conv(f"modulator.{what}{i + 1}.0", s[i]).mean((2, 3), keepdim=True)
        for what in ("weight", "bias")
        for i in (0, 1)
    }
    x = encode("content_encoder", content)[1]
    x = block("decoder.dec1", adain(x, s[1]), mean["weight", 1], mean["bias", 1])
    x = block("decoder.dec2", adain(x, s[0]), mean["weight", 0], mean["bias", 0])
    for first, second in ((1, 3), (6, 8)):
        x = nn.Upsample(scale_factor=2, mode="bilinear")(x)
        x = conv(f"decoder.dec3.{second}", conv(f"decoder.dec3.{first}", x).relu()).relu()
    return conv("decoder.dec3.10", x)


def rgb(path: Path, long_side: int) -> Tensor:
    return torch.from_numpy(resize(decode(path.read_bytes()), long_side).copy()).permute(2, 0, 1)[None] / 255.0


def test_the_published_microast_computes_what_its_authors_does(shared_data: Path, tmp_path: Path):
    file = shared_data / "weights/microast.f32.safetensors"
    (tmp_path / "microast.safetensors").symlink_to(file)
    ours, tensors = imported(tmp_path, "microast.safetensors"), load_file(file)
    content, style = photograph(40, 56), rgb(shared_data / "images/style/the_scream.jpg", 64)
    with torch.no_grad():
        described = ours.describe_style(style[..., :64, :48])
        for alpha in (1.0, 0.3):
            theirs = microast_picture(tensors, content, style[..., :64, :48], alpha)
            torch.testing.assert_close(ours(content, [[(described, 1.0)]], alpha), theirs, atol=1e-4, rtol=1e-3)
        whole, half = ([[(described, 1.0)]], [[(described, 0.25), (described, torch.full((1, 1, 10, 14), 0.75))]])
        torch.testing.assert_close(ours(content, half), ours(content, whole), atol=1e-4, rtol=1e-3)


def test_microast_paints_photographs_in_the_colours_of_the_painting(shared_data: Path, tmp_path: Path):
    (tmp_path / "microast.safetensors").symlink_to(shared_data / "weights/microast.f32.safetensors")
    ours = imported(tmp_path, "microast.safetensors")
    image, style = (
        rgb(shared_data / "images/content/golden_gate.jpg", 128),
        rgb(shared_data / "images/style/the_scream.jpg", 128),
    )
    with torch.no_grad():
        picture = ours(image, [[(ours.describe_style(style), 1.0)]]).clamp(0, 1)
    assert picture.shape == image.shape
    before, after = ((each.mean((0, 2, 3)) - style.mean((0, 2, 3))).abs().sum() for each in (image, picture))
    assert after < 0.5 * before


def test_the_four_files_of_microast_are_told_apart_by_their_names(shared_data: Path, tmp_path: Path):
    tensors = load_file(shared_data / "weights/microast.f32.safetensors")
    parts = ("content_encoder", "style_encoder", "modulator", "decoder")
    files = [f"{part}_iter_160000.pth.tar" for part in parts]
    for part, file in zip(parts, files, strict=True):
        own = {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
        torch.save(own, tmp_path / file, _use_new_zipfile_serialization=False)
    network = imported(tmp_path, *files)
    whole = import_network({}, tensors).state_dict()
    assert all(torch.equal(value, whole[name]) for name, value in network.state_dict().items())
    assert len(whole) == len(tensors)
    with pytest.raises(InputError, match=r"the weights lack decoder\.dec1\.conv1\.conv_layer\.weight"):
        imported(tmp_path, *files[:3])


def test_a_large_picture_in_tiles_is_the_picture_in_one_piece(shared_data: Path):
    network = import_network({}, load_file(shared_data / "weights/microast.f32.safetensors"))
    picture = resize(decode((shared_data / "images/content/golden_gate.jpg").read_bytes()), 320)
    described = network.describe_style(rgb(shared_data / "images/style/the_scream.jpg", 64))

    def paint(tile: np.ndarray, _: object = None) -> Tensor:
        image = torch.from_numpy(tile[None].copy()).permute(0, 3, 1, 2) / 255.0
        return network(image, [[(described, 1.0)]])

    with torch.no_grad():
        whole = (paint(picture)[0].clamp(0, 1) * 255).permute(1, 2, 0).numpy()
        tiled = run_in_tiles(network, paint, picture, 192)
    assert np.abs(whole - tiled).max() < 1.5  # a step of a byte, and rounding
