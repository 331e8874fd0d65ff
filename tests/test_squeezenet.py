"""SqueezeNet against torchvision's own, layer by layer; what a manifest may say of it."""

import pytest
import torch
from cells import blocks, request, run
from safetensors.torch import load_file

from nst.backbones import SqueezeNet, build_backbone, random_weights
from nst.config import METHOD_CONFIGS
from nst.config.architectures import ARCHITECTURES, chain, least_side
from nst.config.backbone import BackboneConfig
from nst.errors import InputError, ManifestError
from nst.manifest.sweep import parse_manifest
from nst.pictures.fitting import too_thin
from nst.pictures.images import Pixels, decode, resize_to

LAYERS = ARCHITECTURES["squeezenet"].strides
RANDOM = {"name": "squeezenet", "weights": "random"}


def torchvisions(models, images, weights):
    """Return torchvision's maps under our names of layers."""
    reference = models.squeezenet1_1().eval()
    reference.load_state_dict(weights)
    maps, x = {}, images
    modules = [*reference.features, *reference.classifier[1:]]
    with torch.no_grad():
        for layer, module in zip(LAYERS, modules, strict=True):
            x = module(x.clone())  # its ReLUs work in place
            maps[layer] = x
        assert torch.equal(reference(images), maps["logits"].flatten(1))
    return maps


def standardised(images):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)


@pytest.mark.parametrize("size", [(64, 80), (65, 79), (33, 33)])
def test_every_layer_equals_torchvisions_own_module(size, torchvision):
    torch.manual_seed(0)
    weights = torchvision.models.squeezenet1_1().state_dict()
    images = torch.rand(2, 3, *size)
    features = SqueezeNet("squeezenet", LAYERS, weights)(images)
    for layer, expected in torchvisions(torchvision.models, standardised(images), weights).items():
        torch.testing.assert_close(features[layer], expected, rtol=1e-4, atol=1e-5)


def test_the_real_weights_give_torchvisions_logits_and_know_a_cat(shared_data, torchvision):
    weights = load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors")
    array = resize_to(decode((shared_data / "images/content/chelsea.png").read_bytes()), 224, 224)
    images = torch.from_numpy(array.copy()).permute(2, 0, 1)[None].div(255)
    ours = SqueezeNet("squeezenet", ["logits"], weights)(images)["logits"].flatten(1)
    exact = {key: value.float() for key, value in weights.items()}
    reference = torchvisions(torchvision.models, standardised(images), exact)
    torch.testing.assert_close(ours, reference["logits"].flatten(1), rtol=1e-5, atol=1e-5)
    names = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.meta["categories"]
    assert "cat" in names[ours.argmax()]


def test_strides_are_those_of_the_maps():
    network = SqueezeNet("squeezenet", LAYERS, random_weights("squeezenet", 0, "logits"))
    features = network(torch.rand(1, 3, 161, 161))
    for layer, stride in LAYERS.items():
        if layer != "logits":
            assert features[layer].shape[-1] == 160 // stride


@pytest.mark.parametrize("layer", ["conv1", "pool1", "fire3", "pool3", "fire5", "pool5", "fire9", "logits"])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_the_smallest_picture_of_a_layer_is_just_large_enough(layer, padding):
    config = BackboneConfig(**RANDOM, padding=padding)
    network = build_backbone(config, [layer], None)
    side = least_side("squeezenet", layer, 1 if padding == "zeros" else 2)
    assert network(torch.rand(1, 3, side, side))[layer].isfinite().all()
    assert too_thin("content", (side, side), [layer], config) is None
    assert isinstance(too_thin("content", (side, side - 1), [layer], config), InputError)


def test_a_chain_has_one_layer_for_each_size():
    assert chain("squeezenet", "fire7") == ("relu1", "fire2", "fire4", "fire7")
    assert chain("squeezenet", "fire3") == ("relu1", "fire3")
    assert chain("squeezenet", "conv1") == ("conv1",)


def test_it_ends_at_the_deepest_layer_and_says_what_is_missing():
    weights = random_weights("squeezenet", 0, "fire3")
    network = SqueezeNet("squeezenet", ["fire2", "relu1"], weights)
    assert list(network(torch.rand(1, 3, 32, 32))) == ["relu1", "fire2"]
    assert not any("features_4" in name for name, _ in network.named_buffers())
    with pytest.raises(
        InputError, match=r"no features\.6\.squeeze\.weight \(fire4 of squeezenet\).*conv1, fire2, fire3"
    ):
        SqueezeNet("squeezenet", ["fire5"], weights)
    with pytest.raises(InputError, match="squeezenet has no layer relu4_2"):
        build_backbone(BackboneConfig(**RANDOM), ["relu4_2"], None)


def test_random_features_neither_vanish_nor_explode():
    features = build_backbone(BackboneConfig(**RANDOM), ["relu1", "fire9"], None)(torch.rand(1, 3, 64, 64))
    assert 1e-4 < features["fire9"].square().mean() / features["relu1"].square().mean() < 1e4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "settings", "with_style"),
    [
        ("gatys", {"content_layers": ["fire5"], "style_layers": ["relu1", "fire3", "fire5"]}, True),
        ("mrf", {"content_layers": ["fire5"], "style_layers": ["fire3"], "pyramid": {"levels": 2}}, True),
        ("texture", {"style_layers": ["relu1", "pool1", "fire3"]}, True),
        ("invert", {"layer": "fire3"}, False),
        ("invert", {"what": "style", "layer": "fire4"}, True),
    ],
)
def test_methods_run_on_it_where_layers_are_named(name, settings, with_style):
    content, style = (Pixels(str(side), blocks(3, 64, 64, side=side)) for side in (1, 4))
    config = METHOD_CONFIGS[name](**settings, size=64, steps=12, backbone=RANDOM)
    (result,) = run(request(config, content, [style] * with_style))
    assert result.error is None
    last = [row for row in result.trace if row.level == result.trace[-1].level]
    assert last[-1].loss < last[0].loss


HEAD = "name: x\ncontents: a.png\nstyles: b.png\n"


SWEEP = "method: {name: texture, backbone: squeezenet}\nsweep:\n  style_layers: "


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("method: {name: gatys, backbone: squeezenet, style_layers: [fire2], content_layers: [fire5, relu4_2]}",
         "relu4_2", "squeezenet has no layer 'relu4_2'"),
        ("method: {name: gatys, style_layers: {relu1_1: 1, fire2: 2}}", "fire2", "vgg19 has no layer 'fire2'"),
        ("method: {name: gatys, style_layers: relu3_4, backbone: vgg16}", "relu3_4", "vgg16 has no layer 'relu3_4'"),
        ("method: {name: texture, backbone: squeezenet}", "squeezenet", "by default 'style_layers' is relu1_1, pool2"),
        ("method: {name: texture, style_layers: relu1_1}\nsweep:\n  backbone: [vgg16, squeezenet]",
         "relu1_1", "squeezenet has no layer 'relu1_1'"),
        (f"{SWEEP}[[fire2], [fire3, fire10]]", "fire10", "found 'fire10', expected a layer"),
        (f"{SWEEP}[[fire2], [fire3, relu2_1]]", "relu2_1", "squeezenet has no layer 'relu2_1'"),
    ],
)  # fmt: skip
def test_a_layer_of_another_backbone_is_one_fault_at_its_place(text, place, message):
    text = (HEAD.replace("contents: a.png", "batch_size: 2") if "texture" in text else HEAD) + text
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.yaml")
    (problem,) = caught.value.problems
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith(place)
    assert problem.message.startswith(message)
    assert "fire10" in message or "relu1" in problem.hint


def test_layers_and_backbones_may_be_swept_together():
    text = "method: texture\nsweep: {zip: {backbone: [vgg16, squeezenet], style_layers: [[relu1_1], [fire2]]}}"
    manifest = parse_manifest(HEAD.replace("contents: a.png", "batch_size: 2") + text, "x.yaml")
    assert [backbone.name for backbone in manifest.backbones()] == ["vgg16", "squeezenet"]
