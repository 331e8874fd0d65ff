"""Networks of other implementations, from files in their layout: each computes what its author's network does.

The networks of the tests are written here from what the authors publish: shapes, paddings, norms, ranges.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import torch
from imports import imported, photograph
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from nst.errors import InputError
from nst.networks.importing import LAYOUTS, layout_of
from nst.networks.importing.adain import encoder_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from nst.networks import Network


def seeded(network: nn.Module) -> nn.Module:
    """Give a network random weights, norms included, of a size that keeps the range of values from layer to layer."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in network.named_parameters():
        size = parameter[0].numel() if parameter.dim() > 1 else 4
        offset = 1.0 if parameter.dim() == 1 and name.endswith("weight") else 0.0
        parameter.data = offset + torch.randn(parameter.shape, generator=generator) / size**0.5
    return network.eval()


def check_equal(ours: Network, theirs: Tensor, image: Tensor) -> None:
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs, atol=2e-5, rtol=1e-4)
    assert theirs.std() > 0.05  # a flat picture would prove nothing


# ---- pytorch/examples -----------------------------------------------------------------------------------------------
class Reflected(nn.Module):
    """A convolution after reflection by half a kernel; its own name in the state is the argument."""

    def __init__(self, name: str, channels: int, filters: int, side: int, stride: int = 1) -> None:
        super().__init__()
        self.half = side // 2
        self.add_module(name, nn.Conv2d(channels, filters, side, stride))

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, smaller by the stride."""
        (conv,) = self.children()
        y: Tensor = conv(functional.pad(x, (self.half,) * 4, mode="reflect"))
        return y


def examples_net() -> nn.ModuleDict:
    """The parts of the network of pytorch/examples under their names."""
    parts: dict[str, nn.Module] = {}
    for i, (channels, filters, side, stride) in enumerate([(3, 32, 9, 1), (32, 64, 3, 2), (64, 128, 3, 2)], start=1):
        parts |= {f"conv{i}": Reflected("conv2d", channels, filters, side, stride)}
        parts |= {f"in{i}": nn.InstanceNorm2d(filters, affine=True)}
    for i in range(1, 6):
        block: dict[str, nn.Module] = {}
        for j in (1, 2):
            block |= {f"conv{j}": Reflected("conv2d", 128, 128, 3), f"in{j}": nn.InstanceNorm2d(128, affine=True)}
        parts[f"res{i}"] = nn.ModuleDict(block)
    for i, (channels, filters) in enumerate([(128, 64), (64, 32)], start=1):
        parts |= {f"deconv{i}": Reflected("conv2d", channels, filters, 3)}
        parts |= {f"in{i + 3}": nn.InstanceNorm2d(filters, affine=True)}
    return nn.ModuleDict(parts | {"deconv3": Reflected("conv2d", 32, 3, 9)})


def examples_picture(net: nn.ModuleDict, image: Tensor) -> Tensor:
    """Return what pytorch/examples saves for a picture in [0, 1], before values are cut to the range of bytes."""
    x = image * 255
    for i in (1, 2, 3):
        x = net[f"in{i}"](net[f"conv{i}"](x)).relu()
    for i in range(1, 6):
        block = net[f"res{i}"]
        assert isinstance(block, nn.ModuleDict)
        x = x + block["in2"](block["conv2"](block["in1"](block["conv1"](x)).relu()))
    for i in (1, 2):
        x = net[f"in{i + 3}"](net[f"deconv{i}"](x.repeat_interleave(2, 2).repeat_interleave(2, 3))).relu()
    picture: Tensor = net["deconv3"](x)
    return picture / 255


def scaled(net: nn.Module, name: str, factor: float) -> nn.Module:
    """Bring the last convolution to the range of pictures."""
    for parameter in net.get_submodule(name).parameters():
        parameter.data *= factor
    return net


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("file", ["candy.pth", "epoch_2.model"])
def test_a_network_of_pytorch_examples_computes_what_its_authors_does(tmp_path: Path, file: str, old: bool):
    net = scaled(seeded(examples_net()), "deconv3", 100.0)
    assert isinstance(net, nn.ModuleDict)
    state = net.state_dict()
    if old:  # PyTorch 0.3 kept statistics that no instance norm used
        norms = [name.removesuffix(".weight") for name in state if re.search(r"in\d\.weight$", name)]
        state.update({f"{name}.running_{what}": torch.ones(3) for name in norms for what in ("mean", "var")})
    torch.save(state, tmp_path / file, _use_new_zipfile_serialization=not old)
    image = photograph()
    with torch.no_grad():
        check_equal(imported(tmp_path, file), examples_picture(net, image), image)


def test_a_variant_of_a_known_network_is_refused(tmp_path: Path):
    state = examples_net().state_dict()
    torch.save({**state, "res6.conv1.conv2d.weight": torch.zeros(1)}, tmp_path / "more.pth")
    with pytest.raises(InputError, match=r"hold res6\.conv1\.conv2d\.weight, which this network does not have"):
        imported(tmp_path, "more.pth")
    torch.save({name: value for name, value in state.items() if name != "in4.bias"}, tmp_path / "less.pth")
    with pytest.raises(InputError, match=r"lack in4\.bias"):
        imported(tmp_path, "less.pth")
    torch.save({**state, "in4.bias": torch.full((64,), torch.nan)}, tmp_path / "nan.pth")
    with pytest.raises(InputError, match=r"in4\.bias holds values that are not finite"):
        imported(tmp_path, "nan.pth")
    torch.save({**state, "in4.bias": torch.zeros(1).expand(2**40)}, tmp_path / "wide.pth")
    with pytest.raises(InputError, match="names more numbers than it holds"):
        imported(tmp_path, "wide.pth")


# ---- rrmina ---------------------------------------------------------------------------------------------------------
def rrmina_layer(channels: int, filters: int, side: int, stride: int = 1, *, normed: bool = True) -> nn.ModuleDict:
    """A convolution and its norm under their names; the padding is added where they are computed."""
    parts: dict[str, nn.Module] = {"conv_layer": nn.Conv2d(channels, filters, side, stride)}
    return nn.ModuleDict(parts | ({"norm_layer": nn.InstanceNorm2d(filters, affine=True)} if normed else {}))


def rrmina_net() -> nn.ModuleDict:
    """The parts of rrmina's `TransformerNetwork` under their names, without what has no weights."""
    down = {0: rrmina_layer(3, 32, 9), 2: rrmina_layer(32, 64, 3, 2), 4: rrmina_layer(64, 128, 3, 2)}
    blocks = [nn.ModuleDict({f"conv{j}": rrmina_layer(128, 128, 3) for j in (1, 2)}) for _ in range(5)]
    up: dict[int, nn.Module] = {4: rrmina_layer(32, 3, 9, normed=False)}
    for i, (channels, filters) in {0: (128, 64), 2: (64, 32)}.items():
        conv = nn.ConvTranspose2d(channels, filters, 3, stride=2, padding=1, output_padding=1)
        up[i] = nn.ModuleDict({"conv_transpose": conv, "norm_layer": nn.InstanceNorm2d(filters, affine=True)})
    return nn.ModuleDict(
        {
            "ConvBlock": nn.ModuleDict({str(i): part for i, part in down.items()}),
            "ResidualBlock": nn.ModuleList(blocks),
            "DeconvBlock": nn.ModuleDict({str(i): part for i, part in up.items()}),
        }
    )


def rrmina_picture(net: nn.Module, image: Tensor) -> Tensor:
    """Return what rrmina's `stylize.py` saves for an RGB picture in [0, 1]: OpenCV reads and writes B, G, R."""

    def layer(name: str, x: Tensor) -> Tensor:
        conv = net.get_submodule(f"{name}.conv_layer")
        y: Tensor = conv(nn.ReflectionPad2d(conv.weight.shape[2] // 2)(x))
        return y if name == "DeconvBlock.4" else net.get_submodule(f"{name}.norm_layer")(y)

    x = image[:, [2, 1, 0]] * 255
    for i in (0, 2, 4):
        x = layer(f"ConvBlock.{i}", x).relu()
    for i in range(5):
        x = x + layer(f"ResidualBlock.{i}.conv2", layer(f"ResidualBlock.{i}.conv1", x).relu())
    for i in (0, 2):
        up = net.get_submodule(f"DeconvBlock.{i}.conv_transpose")(x)
        x = net.get_submodule(f"DeconvBlock.{i}.norm_layer")(up).relu()
    return layer("DeconvBlock.4", x)[:, [2, 1, 0]] / 255


def test_a_network_of_rrmina_computes_what_its_authors_does(tmp_path: Path):
    net = scaled(seeded(rrmina_net()), "DeconvBlock.4", 100.0)
    torch.save(net.state_dict(), tmp_path / "udnie.pth")
    image = photograph()
    with torch.no_grad():
        check_equal(imported(tmp_path, "udnie.pth"), rrmina_picture(net, image), image)


# ---- naoto0804/pytorch-AdaIN ----------------------------------------------------------------------------------------
VGG = "C1:3 C:64 R C:64 R M C:128 R C:128 R M C:256 R C:256 R C:256 R C:256 R M C:512 R C:512 R"
"""The encoder of AdaIN up to relu4_2: convolutions with their filters, ReLUs, and pooling."""

DECODER = "C:256 R U C:256 R C:256 R C:256 R C:128 R U C:128 R C:64 R U C:64 R C:3"


def sequential(channels: int, layers: str) -> nn.Sequential:
    """Return AdaIN's layers; a padding, with an index of its own, stands before each convolution of 3 x 3 positions."""
    made: list[nn.Module] = []
    for layer in layers.split():
        kind, _, filters = layer.partition(":")
        if kind == "C":
            made.append(nn.ReflectionPad2d(1))
        made.append(
            nn.ReLU() if kind == "R"
            else nn.MaxPool2d(2, ceil_mode=True) if kind == "M"
            else nn.Upsample(scale_factor=2) if kind == "U"
            else nn.Conv2d(channels, int(filters), 3 if kind == "C" else 1)
        )  # fmt: skip
        channels = int(filters) if filters else channels
    return nn.Sequential(*made)


def adain_picture(vgg: nn.Sequential, decoder: nn.Sequential, content: Tensor, style: Tensor, alpha: float) -> Tensor:
    """Return AdaIN's picture (Huang & Belongie 2017, eq. 8 and 14), with features of relu4_1."""
    c, s = (vgg[:31](image) for image in (content, style))
    normal = (c - c.mean((2, 3), keepdim=True)) / (c.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt()
    exchanged = normal * (s.var((2, 3), keepdim=True, correction=0) + 1e-5).sqrt() + s.mean((2, 3), keepdim=True)
    picture: Tensor = decoder(alpha * exchanged + (1 - alpha) * c)
    return picture


@pytest.mark.parametrize("old", [False, True])
def test_adain_as_pth_computes_what_its_authors_does(tmp_path: Path, old: bool):
    vgg, decoder = (seeded(sequential(*made)) for made in ((3, VGG), (512, DECODER)))
    assert isinstance(vgg, nn.Sequential)
    assert isinstance(decoder, nn.Sequential)
    for name, net in (("decoder.pth", decoder), ("vgg_normalised.pth", vgg)):
        torch.save(net.state_dict(), tmp_path / name, _use_new_zipfile_serialization=not old)
    ours = imported(tmp_path, "decoder.pth", "vgg_normalised.pth")
    content, style = photograph(32, 40), photograph(48, 32)
    with torch.no_grad():
        described = ours.describe_style(style)
        picture = ours(content, [[(described, 1.0)]], 0.7)
        theirs = adain_picture(vgg, decoder, content, style, 0.7)
    torch.testing.assert_close(picture, theirs, atol=1e-4, rtol=1e-3)
    assert theirs.std() > 0.01


def test_the_encoder_that_is_published_in_both_layouts_is_the_same(shared_data: Path):
    """The public VGG takes B, G, R minus Caffe's mean: its first convolution turns RGB in [0, 1] into that."""
    caffe = load_file(shared_data / "weights/vgg19_normalised_to_conv4_1.f32.safetensors")
    theirs = {"0.weight": 255.0 * torch.eye(3).flip(0)[:, :, None, None]}
    theirs["0.bias"] = -torch.tensor([103.939, 116.779, 123.68])
    indices = (0, 2, 5, 7, 10, 12, 14, 16, 19)
    for key, index in zip((2, 5, 9, 12, 16, 19, 22, 25, 29), indices, strict=True):
        for part in ("weight", "bias"):
            theirs[f"{key}.{part}"] = caffe[f"features.{index}.{part}"]
    theirs["2.weight"] = theirs["2.weight"].flip(1)  # B, G, R
    back = encoder_tensors(theirs)
    assert back.keys() == caffe.keys()
    for name, tensor in caffe.items():
        torch.testing.assert_close(back[name], tensor, atol=2e-4, rtol=1e-5)


def test_a_decoder_alone_asks_for_its_encoder(tmp_path: Path):
    torch.save(seeded(sequential(512, DECODER)).state_dict(), tmp_path / "decoder.pth")
    with pytest.raises(InputError, match="decoder without its encoder"):
        imported(tmp_path, "decoder.pth")


# ---- what is not known ----------------------------------------------------------------------------------------------
def test_what_is_not_known_says_what_was_found_and_what_is_known(tmp_path: Path):
    save_file({"a.weight": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(InputError, match=r"no network that can be imported: tensors a\.weight, b") as refused:
        imported(tmp_path, "x.safetensors")
    assert all(layout.source in str(refused.value.hint) for layout in LAYOUTS)
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "vgg.safetensors")
    with pytest.raises(InputError, match=r"no network that paints.*named as backbone\.weights"):
        imported(tmp_path, "vgg.safetensors")
    resnet = dict.fromkeys(("conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "fc.bias"), torch.zeros(1))
    with pytest.raises(InputError, match=r"no network that paints.*named as backbone\.weights"):
        layout_of({}, resnet)
    with pytest.raises(InputError, match="no network that can be imported: decoders of another network"):
        layout_of({"net": "decoders of another network"}, {"d1.0.weight": torch.zeros(1), **resnet})
    (tmp_path / "note.pth").write_bytes(b"not a pickle")
    with pytest.raises(InputError, match=r"note\.pth is not a file of torch's weights"):
        imported(tmp_path, "note.pth")
