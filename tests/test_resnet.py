"""ResNet-18 and ResNet-50 against torchvision's own modules, layer by layer; what a manifest may say of them."""

import hashlib
import json
import struct

import pytest
import torch
from cells import blocks, request, run
from orders import planned

from nst.backbones import ResNet, build_backbone, random_weights
from nst.config import METHOD_CONFIGS
from nst.config.architectures import ARCHITECTURES, chain, layers_of, least_side
from nst.config.backbone import BackboneConfig
from nst.errors import InputError, ManifestError
from nst.manifest.sweep import parse_manifest
from nst.manifest.training import parse_train_manifest
from nst.pictures.images import Pixels, encode
from nst.records import OutputFormat
from tasks.models.backbone_weights import load_weights

NAMES = ("resnet18", "resnet50")
RANDOM = {"name": "resnet18", "weights": "random"}


def seeded(torchvision, name):
    """Return torchvision's module in inference mode, whose batch normalisations have means and variances of data."""
    torch.manual_seed(0)
    network = getattr(torchvision.models, name)()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.0)
                module.bias.uniform_(-0.2, 0.2)
                module.running_mean.uniform_(-0.3, 0.3)
                module.running_var.uniform_(0.8, 2.5)
    return network.eval()


def theirs(network, images):
    """Return torchvision's maps under our names of layers."""
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (images - mean.view(1, 3, 1, 1).to(images)) / deviation.view(1, 3, 1, 1).to(images)
    with torch.no_grad():
        maps = {"relu": network.relu(network.bn1(network.conv1(x)))}
        x = maps["maxpool"] = network.maxpool(maps["relu"])
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            for number, block in enumerate(blocks := getattr(network, stage), start=1):
                x = maps[stage if number == len(blocks) else f"{stage}_{number}"] = block(x)
    return maps


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 80), (65, 47)])
def test_every_layer_equals_torchvisions_own_module(name, size, torchvision):
    reference = seeded(torchvision, name)
    images = torch.rand(2, 3, *size)
    features = ResNet(name, layers_of(name), reference.state_dict())(images)
    expected = theirs(reference, images)
    assert list(features) == list(expected) == layers_of(name)
    for layer, map_BCHW in expected.items():
        scale = map_BCHW.abs().max().item()
        torch.testing.assert_close(features[layer] / scale, map_BCHW / scale, rtol=1e-5, atol=1e-5)


def test_the_maps_follow_the_running_statistics_and_not_those_of_the_batch(torchvision):
    reference = seeded(torchvision, "resnet18")
    network = ResNet("resnet18", ["layer2"], reference.state_dict())
    pair = torch.rand(2, 3, 48, 48)
    torch.testing.assert_close(network(pair)["layer2"][:1], network(pair[:1])["layer2"], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(network.train()(pair)["layer2"], theirs(reference.train(), pair)["layer2"], atol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_grids_strides_and_smallest_pictures_are_those_of_the_maps(name):
    network = ResNet(name, layers_of(name), random_weights(name, 0, "layer4"))
    features = network(torch.rand(1, 3, 71, 64))
    assert network.grids(64, 71) == {layer: found.shape[:1:-1] for layer, found in features.items()}
    for layer, stride in ARCHITECTURES[name].strides.items():
        assert features[layer].shape[-1] == 64 // stride
        side = least_side(name, layer, 3)
        assert network.cut([layer])(torch.rand(1, 3, side, side))[layer].shape[-1] == 3
        assert network.cut([layer])(torch.rand(1, 3, side, side - 1))[layer].shape[-1] == 2


def test_average_pooling_at_the_border_counts_no_positions_beyond_it():
    config = BackboneConfig(**RANDOM)
    assert config.pooling == "average"
    network = build_backbone(config, ["relu", "maxpool"], None)
    features = network(torch.rand(1, 3, 16, 16))
    corner = features["relu"][..., :2, :2].mean((2, 3))
    torch.testing.assert_close(features["maxpool"][..., 0, 0], corner)


@pytest.mark.parametrize("name", NAMES)
def test_random_features_neither_vanish_nor_explode(name):
    config = BackboneConfig(name=name, weights="random")
    features = build_backbone(config, ["relu", "layer4"], None)(torch.rand(1, 3, 64, 64))
    assert 1e-2 < features["layer4"].square().mean() / features["relu"].square().mean() < 1e2


def test_a_chain_has_one_layer_for_each_size():
    assert chain("resnet50", "layer3") == ("relu", "layer1_1", "layer2_1", "layer3")
    assert chain("resnet18", "relu") == ("relu",)


def test_it_ends_at_the_deepest_layer_and_says_what_is_missing():
    weights = random_weights("resnet18", 0, "layer2_1")
    network = ResNet("resnet18", ["layer1", "relu"], weights)
    assert list(network(torch.rand(1, 3, 32, 32))) == ["relu", "layer1"]
    assert not any(name.startswith("layer2") for name, _ in network.named_buffers())
    with pytest.raises(
        InputError, match=r"no layer2\.1\.conv1\.weight \(layer2 of resnet18\); they hold relu, layer1_1"
    ):
        ResNet("resnet18", ["layer3"], weights)
    del weights["bn1.running_var"]
    with pytest.raises(InputError, match=r"no bn1\.running_var \(relu of resnet18\)"):
        ResNet("resnet18", ["layer1"], weights)


@pytest.mark.parametrize(
    ("name", "settings", "with_style"),
    [
        ("gatys", {}, True),
        ("mrf", {"pyramid": {"levels": 1}}, True),
        ("texture", {}, True),
        ("invert", {}, False),
        ("invert", {"what": "style"}, True),
        ("dream", {"pyramid": {"levels": 1}}, False),
    ],
)
def test_methods_have_default_layers_on_it(name, settings, with_style):
    content, style = (Pixels(str(side), blocks(3, 64, 64, side=side)) for side in (1, 4))
    config = METHOD_CONFIGS[name](**settings, size=64, steps=6, backbone=RANDOM)
    (result,) = run(request(config, content, [style] * with_style))
    assert result.error is None


@pytest.mark.parametrize(
    ("name", "given", "setting", "layers"),
    [
        ("gatys", {}, "style_layers", {"relu": 0.2, "layer1": 0.2, "layer2": 0.2, "layer3": 0.2, "layer4": 0.2}),
        ("gatys", {}, "content_layers", {"layer3": 1.0}),
        ("gatys", {"style_layers": ["layer1_1"]}, "style_layers", {"layer1_1": 1.0}),
        ("mrf", {}, "style_layers", {"layer2": 0.5, "layer3": 0.5}),
        ("doodle", {"how": "patches"}, "style_layers", {"layer2": 0.5, "layer3": 0.5}),
        ("texture", {}, "style_layers", dict.fromkeys(("relu", "maxpool", "layer1", "layer2", "layer3"), 0.2)),
        ("dream", {}, "layers", {"layer3": 1.0}),
        ("invert", {}, "layer", "layer3"),
    ],
)
@pytest.mark.parametrize("backbone", ["resnet50", {"name": "resnet50"}, BackboneConfig(name="resnet50")])
def test_layers_that_are_left_out_stand_for_those_of_a_vgg(name, given, setting, layers, backbone):
    assert getattr(METHOD_CONFIGS[name](**given, backbone=backbone), setting) == layers


HEAD = "name: x\ncontents: a.png\nstyles: b.png\n"


def test_a_sweep_over_backbones_has_the_layers_of_each():
    text = f"{HEAD}method: {{name: gatys, backbone: vgg16}}\nsweep: {{backbone: [vgg19, resnet18]}}"
    variants = parse_manifest(text, "x.yaml").variants
    assert [list(variants.config(number).content_layers) for number in (0, 1)] == [["relu4_2"], ["layer3"]]


@pytest.mark.parametrize("family", ["adain", "mgan"])
def test_networks_that_decode_a_vgg_refuse_it_in_one_line(family):
    text = f"kind: train\nname: x\nphotographs: p/\nstyles: b.png\ntraining: {{family: {family}, backbone: resnet18}}"
    with pytest.raises(ManifestError) as caught:
        parse_train_manifest(text, "x.yaml")
    (problem,) = caught.value.problems
    assert (
        problem.message == "networks of this family encode pictures by a VGG, up to one of its layers; found resnet18"
    )
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith("resnet18")


def header_alone(shapes, path):
    """Write a safetensors file that has the header of a network and a hole where its numbers would be."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


def test_planning_reads_the_header_of_a_file_for_what_the_layers_need(tmp_path, torchvision):
    with torch.device("meta"):
        state = torchvision.models.resnet50().state_dict()
    header_alone({name: tuple(tensor.shape) for name, tensor in state.items()}, tmp_path / "whole.safetensors")
    shallow = {name: tuple(tensor.shape) for name, tensor in state.items() if not name.startswith(("layer3", "layer4"))}
    header_alone(shallow, tmp_path / "shallow.safetensors")
    (tmp_path / "c.png").write_bytes(encode(blocks(3, 32, 32), OutputFormat(), {}))
    manifest = tmp_path / "m.yaml"
    text = """\
name: x
contents: c.png
styles: c.png
method: {name: gatys, size: 32, backbone: {name: NAME, weights: FILE.safetensors}}
"""
    manifest.write_text(text.replace("NAME", "resnet50").replace("FILE", "whole"))
    assert planned(manifest, tmp_path / "out").plan.total == 1
    manifest.write_text(text.replace("NAME", "resnet50").replace("FILE", "shallow"))
    with pytest.raises(ManifestError, match=r"no layer3\.0\.conv1\.weight \(layer3_1 of resnet50\).*up to layer2"):
        planned(manifest, tmp_path / "out")
    manifest.write_text(text.replace("NAME", "resnet18").replace("FILE", "whole"))
    with pytest.raises(
        ManifestError, match=r"layer1\.0\.conv1\.weight .* shape \(64, 64, 1, 1\); expected \(64, 64, 3, 3\)"
    ):
        planned(manifest, tmp_path / "out")


def test_a_file_of_torch_is_read_as_torchvision_saves_it(tmp_path, torchvision):
    reference = seeded(torchvision, "resnet18")
    path = tmp_path / "resnet18.pth"
    torch.save(reference.state_dict(), path)
    weights = load_weights(BackboneConfig(name="resnet18", weights="x"), f"file://{path}", sha256_of(path))
    images = torch.rand(1, 3, 40, 40)
    found = ResNet("resnet18", ["layer4"], weights)(images)["layer4"]
    torch.testing.assert_close(found, theirs(reference, images)["layer4"], rtol=1e-4, atol=1e-4)


def sha256_of(path):
    return "sha256-" + hashlib.sha256(path.read_bytes()).hexdigest()
