import pytest
import torch

from nst.backbones import VGG, build_backbone, random_weights
from nst.config.architectures import ARCHITECTURES, layers_of
from nst.config.backbone import BackboneConfig
from nst.config.convolutions import convolutions_of
from nst.errors import InputError
from nst.losses.objective import extract


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_every_layer_equals_torchvisions_own_module(name, torchvision):
    torch.manual_seed(0)
    letter = {"vgg16": "D", "vgg19": "E"}[name]
    reference = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs[letter]).eval()
    weights = {f"features.{k}": v for k, v in reference.state_dict().items()}
    images = torch.rand(2, 3, 32, 40)
    features = VGG(name, layers_of(name), weights)(images)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = (images - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    with torch.no_grad():
        for module, layer in zip(reference, layers_of(name), strict=True):
            expected = module(expected.clone())  # torchvision's ReLU works in place
            torch.testing.assert_close(features[layer], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_layers_stand_in_the_order_of_torchvisions_features(name, torchvision):
    kinds = {torch.nn.Conv2d: "conv", torch.nn.ReLU: "relu", torch.nn.MaxPool2d: "pool"}
    with torch.device("meta"):
        features = getattr(torchvision.models, name)().features
    assert [layer.rstrip("12345_") for layer in layers_of(name)] == [kinds[type(module)] for module in features]
    assert layers_of("vgg19").index("relu4_2") == 22


def test_caffe_input_is_0_to_255_minus_the_mean():
    weights = random_weights("vgg19", 0, "conv1_1")
    images = torch.rand(1, 3, 8, 8)
    ours = VGG("vgg19", ["conv1_1"], weights, inputs="caffe")(images)["conv1_1"]
    pixels = images * 255 - torch.tensor([123.68, 116.779, 103.939]).view(1, 3, 1, 1)
    expected = torch.nn.functional.conv2d(pixels, weights["features.0.weight"], padding=1)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["torchvision", "caffe"])
def test_in_float64_the_input_is_standardised_by_the_published_numbers(kind):
    """Rounded to float32 they are wrong by up to 3e-8 of themselves, and losses by 1e-7."""
    config = BackboneConfig(weights="random")
    network = VGG("vgg19", ["conv1_1"], random_weights("vgg19", 0, "conv1_1"), inputs=kind)
    built = build_backbone(config, ["conv1_1"], None, dtype=torch.float64)
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    white, mean, deviation = {
        "torchvision": (1, ["0.485", "0.456", "0.406"], ["0.229", "0.224", "0.225"]),
        "caffe": (255, ["123.68", "116.779", "103.939"], ["1", "1", "1"]),
    }[kind]
    mean, deviation = (torch.tensor([[[float(x)]] for x in row], dtype=torch.float64) for row in (mean, deviation))
    for module in [network.double(), *([built] if kind == "torchvision" else [])]:
        expected = torch.nn.functional.conv2d((white * images - mean) / deviation, module.conv1_1_weight, padding=1)
        torch.testing.assert_close(module(images)["conv1_1"], expected, rtol=1e-12, atol=1e-11)
    assert network.float().mean.dtype == torch.float32


def test_the_network_ends_at_the_deepest_layer_and_returns_only_what_was_asked_for():
    network = VGG("vgg19", ["relu2_1", "relu1_1"], random_weights("vgg19", 0, "relu3_1"))
    assert list(network(torch.rand(1, 3, 8, 8))) == ["relu1_1", "relu2_1"]
    assert network.order[-1] == "relu2_1"
    assert not any(name.startswith("conv2_2") for name, _ in network.named_buffers())


def test_values_before_the_relu_survive_it():
    features = VGG("vgg19", ["conv1_1", "relu1_1"], random_weights("vgg19", 0, "pool1"))(torch.rand(1, 3, 8, 8))
    assert features["conv1_1"].min() < 0
    torch.testing.assert_close(features["relu1_1"], features["conv1_1"].clamp_min(0))


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_padding_continues_a_constant_picture(padding):
    network = VGG("vgg19", ["relu3_1"], random_weights("vgg19", 0, "relu3_1"), padding=padding, pooling="average")
    features = network(torch.full((1, 3, 16, 16), 0.7))["relu3_1"]
    spread = features.amax((2, 3)) - features.amin((2, 3))
    assert spread.max() < 1e-5 * max(1.0, features.abs().max())


def test_missing_weights_are_named_with_those_that_are_there():
    weights = random_weights("vgg19", 0, "conv3_1")
    with pytest.raises(InputError, match=r"features\.12\.weight \(conv3_2 of vgg19\).*conv1_1, .*conv3_1.*relu3_1"):
        VGG("vgg19", ["relu4_1"], weights)


def test_weights_of_another_shape_and_unknown_layers_are_refused():
    weights = random_weights("vgg19", 0, "conv1_1")
    weights["features.0.weight"] = torch.zeros(64, 3, 5, 5)
    with pytest.raises(InputError, match=r"conv1_1 of vgg19\) has shape \(64, 3, 5, 5\); expected \(64, 3, 3, 3\)"):
        VGG("vgg19", ["relu1_1"], weights)
    with pytest.raises(InputError, match="vgg16 has no layer"):
        VGG("vgg16", ["relu3_4"], weights)


def test_random_weights_are_the_same_everywhere():
    weights = random_weights("vgg19", 7, "relu1_2")
    assert torch.equal(weights["features.0.weight"], random_weights("vgg16", 7, "relu1_1")["features.0.weight"])
    assert not torch.equal(weights["features.0.weight"], random_weights("vgg19", 8, "relu1_1")["features.0.weight"])
    # Recorded once; cells are identified by the seed alone.
    torch.testing.assert_close(
        weights["features.0.weight"][0, 0, 0],
        torch.tensor([-0.18077267706394196, 0.04618825763463974, 0.3224802017211914]),
        rtol=1e-6,
        atol=1e-7,
    )


@pytest.mark.slow
def test_random_features_neither_vanish_nor_explode_and_differ_between_pictures_at_depth():
    config = BackboneConfig(weights="random")
    assert config.pooling == "average"
    network = build_backbone(config, ["relu1_1", "relu5_1"], None)
    noise = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    pictures = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    features = network(pictures)
    first, last = features["relu1_1"].square().mean(), features["relu5_1"].square().mean()
    assert 1e-4 < last / first < 1e4
    one, other = features["relu5_1"].flatten(1)
    assert torch.nn.functional.cosine_similarity(one, other, 0) < 0.98


def test_max_pooling_can_still_be_chosen_for_random_weights():
    assert BackboneConfig(weights="random", pooling="max").pooling == "max"
    assert BackboneConfig(weights="torchvision").pooling == "max"


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("size", [(33, 64), (47, 38), (65, 66), (95, 32)])
@pytest.mark.slow
def test_grids_are_those_of_the_maps(name, size):
    width, height = size
    layers = [layer for layer in layers_of(name) if layer != "pool5"]
    network = build_backbone(BackboneConfig(name=name, weights="random"), layers, None)
    maps = network(torch.zeros(1, 3, height, width))
    assert network.grids(width, height) == {layer: found.shape[:1:-1] for layer, found in maps.items()}


def test_a_narrower_vgg_is_the_full_one_without_the_filters_that_it_lacks():
    """A filter of zeros adds nothing to the layer after it, so leaving it out changes no other feature."""
    full = random_weights("vgg19", 3, "conv2_2")
    kept = {"conv1_1": [5, 9, 40], "conv1_2": list(range(64)), "conv2_1": [0, 127], "conv2_2": list(range(17))}
    narrow, before = {}, [0, 1, 2]
    for convolution in convolutions_of("vgg19")[:4]:
        weight, bias = (full[f"{convolution.key}.{part}"] for part in ("weight", "bias"))
        filters = kept[convolution.layer]
        dropped = [number for number in range(len(weight)) if number not in filters]
        weight[dropped], bias[dropped] = 0.0, 0.0
        narrow[f"{convolution.key}.weight"] = weight[filters][:, before]
        narrow[f"{convolution.key}.bias"] = bias[filters]
        before = filters
    images_B3HW = torch.rand((2, 3, 24, 20), generator=torch.Generator().manual_seed(0))
    layers = [layer.replace("conv", "relu") for layer in kept]
    wide, slim = (VGG("vgg19", layers, weights)(images_B3HW) for weights in (full, narrow))
    for layer in layers:
        filters = kept[layer.replace("relu", "conv")]
        assert slim[layer].shape[1] == len(filters)
        torch.testing.assert_close(slim[layer], wide[layer][:, filters], rtol=1e-5, atol=1e-6)


def test_a_layer_whose_input_does_not_fit_the_layer_before_is_refused():
    weights = random_weights("vgg19", 0, "conv1_2")
    weights["features.0.weight"], weights["features.0.bias"] = torch.ones(8, 3, 3, 3), torch.ones(8)
    with pytest.raises(InputError, match=r"conv1_2 of vgg19\) has shape \(64, 64, 3, 3\); expected \(64, 8, 3, 3\)"):
        VGG("vgg19", ["relu1_2"], weights)


def test_in_bfloat16_weights_are_rounded_and_the_input_is_standardised_in_float32():
    """A mean of 0.485 would be 0.4844 in bfloat16, and 123.68 would be 123.5."""
    config = BackboneConfig(weights="random")
    backbone = build_backbone(config, ["conv1_1"], None, dtype=torch.bfloat16)
    assert backbone.get_buffer("conv1_1_weight").dtype == torch.bfloat16
    assert torch.equal(backbone.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    rough = extract(backbone, images, "bfloat16")["conv1_1"]
    exact = extract(build_backbone(config, ["conv1_1"], None), images, "float32")["conv1_1"]
    assert rough.dtype == torch.float32
    assert 1e-4 < (rough - exact).norm() / exact.norm() < 2**-7  # bfloat16 has eight bits
