"""Networks against published sizes, other implementations and algebra; their files against damage."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.training import (
    AdainTraining,
    ConditionalTraining,
    DoodleNetTraining,
    JohnsonTraining,
    MganTraining,
    TextureNetTraining,
)
from nst.errors import InputError
from nst.networks import Origin, build_network, metadata_of, network_from
from nst.networks.adain import moments
from nst.networks.norm import InstanceNorm, statistics
from nst.pictures.images import decode, resize

SMALL = {"width": 4, "residual_blocks": 1}


def photograph(height=37, width=50, seed=0, count=1):
    return torch.rand((count, 3, height, width), generator=torch.Generator().manual_seed(seed))


def adain(layer="relu2_1"):
    config = AdainTraining(layer=layer, backbone=BackboneConfig(weights="random"))
    return config, build_network(config, Origin(encoder=build_backbone(config.backbone, [layer], None)))


def mgan(layer="relu2_1"):
    config = MganTraining(layer=layer, backbone=BackboneConfig(weights="random"))
    return config, build_network(config, Origin(encoder=build_backbone(config.backbone, [layer], None)))


def encoder(backbone, layer, filters=None):
    """A backbone of random weights; with `filters`, so many in its convolutions up to relu2_1."""
    if filters is None:
        return build_backbone(backbone, [layer], None)
    random, tensors = torch.Generator().manual_seed(1), {}
    for number, channels, count in zip((0, 2, 5), (3, *filters), filters, strict=False):
        tensors[f"features.{number}.weight"] = torch.randn((count, channels, 3, 3), generator=random)
        tensors[f"features.{number}.bias"] = torch.randn(count, generator=random)
    return build_backbone(backbone, [layer], tensors)


def run(network, images, seeds=(5,)):
    with torch.no_grad():
        if network.family in {"texture_net", "doodle_net"}:
            return network(network.draw(*images.shape[2:], seeds), images)
        if network.family == "adain":
            return network(images, [[(moments(network.encode(photograph(40, 32, 9))), 1.0)]])
        return network(images)


def test_johnsons_network_has_the_published_number_of_parameters():
    # pytorch/examples fast_neural_style: the sum over its saved models' tensors; "1.68 M" in Ruta et al.'s comparison.
    network = build_network(JohnsonTraining())
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_679_235


BUILT = {
    "johnson": lambda: build_network(JohnsonTraining(**SMALL)),
    "paper": lambda: build_network(JohnsonTraining(**SMALL, upsampling="transposed", padding="zeros", norm="batch")),
    "conditional": lambda: build_network(ConditionalTraining(**SMALL), Origin(3)),
    "texture_net": lambda: build_network(TextureNetTraining(mode="stylize", scales=3)),
    "doodle_net": lambda: build_network(DoodleNetTraining(scales=3), Origin(colors=("#ff0000", "#00ff00", "#0000ff"))),
    "adain": lambda: adain()[1],
    "mgan": lambda: mgan()[1],
}


@pytest.mark.parametrize("name", BUILT)
def test_networks_take_pictures_of_any_size(name):
    network = BUILT[name]()
    for size in ((16, 16), (37, 50), (41, 19)):
        assert run(network, photograph(*size)).shape == (1, 3, *size)


def test_instance_norm_is_torchs_with_rows_to_choose_from():
    x, norm = photograph(9, 7, count=2).repeat(1, 2, 1, 1), InstanceNorm(6, 2)
    torch.nn.init.normal_(norm.scale)
    torch.nn.init.normal_(norm.shift)
    rows = torch.tensor([[0.0, 1.0], [0.25, 0.75]])
    for image, weights in enumerate(rows):
        expected = functional.instance_norm(x[image][None], weight=weights @ norm.scale, bias=weights @ norm.shift)
        torch.testing.assert_close(norm(x, rows)[image][None], expected, atol=1e-5, rtol=1e-5)


def test_one_hot_rows_are_the_single_styles_and_blends_lie_between_them():
    torch.manual_seed(0)
    many = build_network(ConditionalTraining(**SMALL), Origin(3))
    for parameter in many.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    image = photograph(20, 24)
    for style in range(3):
        single = build_network(ConditionalTraining(**SMALL), Origin(1))
        rows = {k: v[style : style + 1] if ".norm." in k else v for k, v in many.state_dict().items()}
        single.load_state_dict(rows)
        torch.testing.assert_close(many(image, many.rows([{style: 7.0}])), single(image))
    blended = many(image.repeat(3, 1, 1, 1), many.rows([{0: 1.0}, {0: 1e6, 1: 1e-3}, {0: 1.0, 1: 1.0}]))
    torch.testing.assert_close(blended[0], blended[1], atol=1e-4, rtol=0)
    assert (blended[0] - blended[2]).abs().mean() > 0.01


FULL = [(256, 512), (256, 256), (256, 256), (256, 256), (128, 256), (128, 128), (64, 128), (64, 64), (3, 64)]
"""Filters and channels of the decoder of xunhuang1995/AdaIN-style, which also stands behind a VGG-16."""


@pytest.mark.parametrize(
    ("architecture", "layer", "filters", "expected"),
    [
        ("vgg19", "relu4_1", None, FULL),
        ("vgg16", "relu4_1", None, FULL),
        ("vgg19", "relu3_1", None, FULL[4:]),
        ("vgg19", "relu1_1", None, FULL[8:]),
        ("vgg19", "relu2_1", (6, 5, 4), [(5, 4), (6, 5), (3, 6)]),
        ("vgg19", "relu2_1", (2, 5, 10), [(5, 10), (2, 5), (3, 2)]),
    ],
)
def test_adains_decoder_mirrors_its_encoder_of_any_width(architecture, layer, filters, expected):
    backbone = BackboneConfig(name=architecture, weights="embedded" if filters else "random")
    config = AdainTraining(layer=layer, backbone=backbone)
    network = build_network(config, Origin(encoder=encoder(backbone, layer, filters)))
    assert [tuple(conv.conv.weight.shape[:2]) for conv in network.decoder] == expected
    assert run(network, photograph(32, 48)).shape == (1, 3, 32, 48)
    again = network_from(metadata_of(config, [], 7), network.state_dict())
    assert torch.equal(run(again, photograph()), run(network, photograph()))


def test_mgan_decodes_what_a_narrow_encoder_gives():
    config = MganTraining(layer="relu2_1", backbone=BackboneConfig(weights="embedded"))
    network = build_network(config, Origin(encoder=encoder(config.backbone, "relu2_1", (6, 5, 4))))
    assert [tuple(conv.conv.weight.shape[:2]) for conv in network.decoder] == [(128, 4), (3, 128)]
    again = network_from(metadata_of(config, [], 7), network.state_dict())
    assert torch.equal(run(again, photograph()), run(network, photograph()))


def test_mgan_decodes_with_the_published_filters():
    # chuanli11/MGANs: 512 to 512, 256, 128 and 3, doubling before each but the first.
    _, network = mgan("relu4_1")
    shapes = [tuple(conv.conv.weight.shape[:2]) for conv in network.decoder]
    assert shapes == [(512, 512), (256, 512), (128, 256), (3, 128)]
    assert run(network, photograph(16, 24)).shape == (1, 3, 16, 24)


def test_a_new_row_leaves_the_old_styles_as_they_were():
    old, new = (
        build_network(ConditionalTraining(**SMALL), Origin(2)),
        build_network(ConditionalTraining(**SMALL), Origin(4)),
    )
    for parameter in old.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    new.load_state_dict(new.adopt(old.state_dict()))
    image, blend = photograph(20, 24), [{0: 1.0, 1: 1.0}]
    torch.testing.assert_close(new(image, new.rows(blend)), old(image, old.rows(blend)))
    torch.testing.assert_close(new(image, new.rows([{3: 1.0}])), old(image, old.rows(blend)))


def test_texture_nets_roll_with_their_noise_since_their_textures_tile():
    network = build_network(TextureNetTraining(scales=3)).double()
    noise = network.draw(32, 40, [3])
    rolled = [level.roll((8 // 2 ** (2 - k), 16 // 2 ** (2 - k)), (2, 3)) for k, level in enumerate(noise)]
    torch.testing.assert_close(network(rolled), network(noise).roll((8, 16), (2, 3)))


@pytest.mark.parametrize("mode", ["texture", "stylize"])
def test_a_texture_net_begins_with_grey_pictures_far_from_black_and_white(mode):
    network = build_network(TextureNetTraining(mode=mode))
    guide = photograph(128, 128) if mode == "stylize" else None
    with torch.no_grad():
        picture = network(network.draw(128, 128, [3]), guide)
    assert picture.min() > 0.2
    assert picture.max() < 0.8


def test_noise_belongs_to_the_seed_and_not_to_the_batch():
    network = build_network(TextureNetTraining(scales=3))
    for together, alone in zip(network.draw(16, 16, [1, 2]), network.draw(16, 16, [2]), strict=True):
        assert torch.equal(together[1:], alone)
        assert not torch.equal(together[:1], alone)


def test_exchanged_features_have_exactly_the_styles_means_and_deviations():
    _, network = adain()
    network.double()
    content, style = network.encode(photograph(40, 48).double()), network.encode(photograph(64, 32, 1).double())
    exchanged = network.exchange(content, moments(style, epsilon=0.0))
    torch.testing.assert_close(exchanged.mean((2, 3)), style.mean((2, 3)), atol=1e-9, rtol=0)
    # The epsilon below the content's root is all that is missing.
    shrunk = (content.var((2, 3), correction=0) / (content.var((2, 3), correction=0) + 1e-5)).sqrt()
    torch.testing.assert_close(exchanged.std((2, 3), correction=0), style.std((2, 3), correction=0) * shrunk)


def test_adain_mixes_styles_by_share_and_by_region(monkeypatch):
    _, network = adain()
    image, styles = photograph(32, 48), [moments(network.encode(photograph(40, 40, seed))) for seed in (1, 2)]
    left = torch.zeros(1, 1, 16, 24)
    left[..., :12] = 1.0
    regions = [(styles[0], left), (styles[1], 1.0 - left)]
    shares = [[(styles[0], 1.0)], [(styles[0], 0.0), (styles[1], 1.0)], [(style, 0.5) for style in styles]]
    assert network(image, [regions]).shape == image.shape
    monkeypatch.setattr(network, "decode", lambda features_BCHW: features_BCHW)  # what the decoder is given
    first, second, half = network(image.repeat(3, 1, 1, 1), shares)
    assert (first - second).abs().mean() > 0.01
    torch.testing.assert_close(half, (first + second) / 2)
    for side, (mean, deviation) in zip(network(image, [regions]).split(12, 3), styles, strict=True):
        torch.testing.assert_close(side.mean((2, 3), keepdim=True), mean, atol=1e-5, rtol=0)
        torch.testing.assert_close(side.std((2, 3), keepdim=True, correction=0), deviation, atol=1e-2, rtol=0)


def test_statistics_over_a_region_are_those_of_its_cut_out_part():
    x = photograph(8, 10).double()
    shares = torch.zeros(1, 1, 8, 10)
    shares[..., 2:5, 3:9] = 0.3
    for ours, expected in zip(statistics(x, shares), statistics(x[..., 2:5, 3:9]), strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.slow
def test_the_public_adain_decoder_reconstructs_at_alpha_0_and_stylizes_at_alpha_1(shared_data):
    weights = shared_data / "weights"
    decoder = load_file(weights / "adain_decoder_int8dequant.f16.safetensors")
    network = network_from({}, {**decoder, **load_file(weights / "vgg19_normalised_to_conv4_1.f32.safetensors")})
    image, style = (
        torch.from_numpy(resize(decode((shared_data / "images" / name).read_bytes()), 128).copy()).permute(2, 0, 1)[
            None
        ]
        / 255.0
        for name in ("content/golden_gate.jpg", "style/the_scream.jpg")
    )
    with torch.no_grad():
        wanted = moments(network.encode(style))
        same, changed = (network(image, [[(wanted, 1.0)]], alpha).clamp(0, 1) for alpha in (0.0, 1.0))
    assert -10 * torch.log10((same - image).square().mean()) > 17.0  # PSNR in dB; relu4_1 loses detail
    nearer = [(picture.mean((0, 2, 3)) - style.mean((0, 2, 3))).abs().sum() for picture in (same, changed)]
    assert nearer[1] < 0.5 * nearer[0]


def fast_style_transfer(tensors, image):
    """Plainly: what lengstrom/fast-style-transfer's graph computes on sides that are multiples of 4."""

    def norm(x, name):
        mean, variance = x.mean((2, 3), keepdim=True), x.var((2, 3), correction=0, keepdim=True)
        scale, shift = (tensors[f"{name}.{part}"].float()[None, :, None, None] for part in ("scale", "shift"))
        return (x - mean) / (variance + 1e-3).sqrt() * scale + shift

    def conv(x, name, stride=1):
        weight = tensors[f"{name}.weight"].float()
        rows, size = x.shape[2], weight.shape[2]
        total = max((-(-rows // stride) - 1) * stride + size - rows, 0)  # TensorFlow's SAME
        before, after = total // 2, total - total // 2
        return norm(functional.conv2d(functional.pad(x, (before, after, before, after)), weight, stride=stride), name)

    def up(x, name):
        # The gradient of a SAME convolution of stride 2: TensorFlow's definition of its transpose.
        weight = tensors[f"{name}.weight"].float()
        big = torch.zeros(1, weight.shape[1], 2 * x.shape[2], 2 * x.shape[3], requires_grad=True)
        down = functional.conv2d(functional.pad(big, (0, 1, 0, 1)), weight, stride=2)
        return norm(torch.autograd.grad(down, big, x)[0], name)

    x = image * 255.0
    for name, stride in (("conv1", 1), ("conv2", 2), ("conv3", 2)):
        x = conv(x, name, stride).relu()
    for block in range(1, 6):
        x = x + conv(conv(x, f"res{block}.conv1").relu(), f"res{block}.conv2")
    for name in ("up1", "up2"):
        x = up(x, name).relu()
    return (conv(x, "conv_out").tanh() * 150 + 127.5) / 255


@pytest.mark.parametrize("name", ["fst_mathura", "fst_matta"])
def test_an_external_network_computes_what_its_authors_does(shared_data, name):
    tensors = load_file(shared_data / "weights/feedforward" / f"{name}.f16.safetensors")
    picture = resize(decode((shared_data / "images/content/tubingen.jpg").read_bytes()), 96).copy()
    image = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255.0
    with torch.no_grad():
        ours = network_from({}, tensors)(image)
    assert ours.shape == image.shape
    torch.testing.assert_close(ours, fast_style_transfer(tensors, image).detach(), atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("config", "styles"),
    [
        (JohnsonTraining(**SMALL), ["a"]),
        (ConditionalTraining(**SMALL), ["a", "b"]),
        (TextureNetTraining(scales=3, mode="stylize", norm="batch"), ["a"]),
    ],
)
def test_a_network_is_built_again_from_its_file(config, styles):
    network = build_network(config, Origin(len(styles))).eval()
    again = network_from(metadata_of(config, styles, 7), network.state_dict()).eval()
    assert again.styles == tuple(styles)
    assert torch.equal(run(again, photograph()), run(network, photograph()))


@pytest.mark.parametrize("made", [adain, mgan])
def test_a_model_of_decoded_features_brings_its_encoder(made):
    config, network = made()
    again = network_from(metadata_of(config, [], 7), network.state_dict())
    assert torch.equal(run(again, photograph()), run(network, photograph()))


def test_files_that_hold_no_known_network_are_refused():
    config = JohnsonTraining(**SMALL)
    tensors, metadata = build_network(config).state_dict(), metadata_of(config, ["a"], 1)
    with pytest.raises(InputError, match=r"lack last\.conv\.bias"):
        network_from(metadata, {key: tensor for key, tensor in tensors.items() if key != "last.conv.bias"})
    with pytest.raises(InputError, match="hold an unknown x"):
        network_from(metadata, {**tensors, "x": torch.zeros(1)})
    with pytest.raises(InputError, match=r"last\.conv\.bias has shape \(4,\); this johnson network needs \(3,\)"):
        network_from(metadata, {**tensors, "last.conv.bias": torch.zeros(4)})
    with pytest.raises(InputError, match="not finite"):
        network_from(metadata, {**tensors, "last.conv.bias": torch.full((3,), np.nan)})
    with pytest.raises(InputError, match="metadata cannot be read"):
        network_from({**metadata, "config": "{"}, tensors)
    with pytest.raises(InputError, match="no network that can be imported: squeezenet"):
        network_from({"net": "squeezenet"}, {"x": torch.zeros(1)})
    with pytest.raises(InputError, match="without its encoder"):
        network_from({}, {"28.weight": torch.zeros(1)})
