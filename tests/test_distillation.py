"""A small VGG made from a large one: exact where nothing is left out, and better than channels taken at random."""

from __future__ import annotations

import pytest
import torch

from nst.backbones import VGG, random_weights
from nst.config.convolutions import convolutions_of
from nst.training.distillation import distil, most_telling

FULL = {convolution.layer: convolution.filters for convolution in convolutions_of("vgg19")}


@pytest.fixture(scope="module")
def pictures():
    """Smooth random pictures in [0, 1], standardised as torchvision's weights expect."""
    noise_N3HW = torch.randn((8, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(noise_N3HW, scale_factor=4, mode="bicubic")


def features(weights, pictures_N3HW, layer):
    network = VGG("vgg19", [layer], weights)
    network.mean, network.scale = torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1)
    return network(pictures_N3HW)[layer]


def relative(found, expected):
    """Return the distance of two maps, as a share of the length of the second."""
    return ((found - expected).norm() / expected.norm()).item()


@pytest.mark.slow
def test_a_network_that_keeps_all_filters_computes_what_its_teacher_does(pictures):
    teacher = random_weights("vgg19", 1, "conv2_1")
    filters = {layer: FULL[layer] for layer in ("conv1_1", "conv1_2", "conv2_1")}
    student = distil("vgg19", teacher, pictures, filters).weights
    expected, found = (features(weights, pictures, "relu2_1") for weights in (teacher, student))
    assert relative(found, expected) < 0.05


def test_refitted_filters_are_closer_to_the_teacher_than_its_filters_cut_out(pictures):
    teacher = random_weights("vgg19", 1, "conv1_2")
    distilled = distil("vgg19", teacher, pictures, {"conv1_1": 24, "conv1_2": 32})
    student, kept, chosen = distilled.weights, distilled.kept["conv1_1"], distilled.kept["conv1_2"]
    # The first layer computes what the teacher's own does, since it sees the same pictures; its weights are close but
    # not the same, since in smooth pictures neighbours say nearly the same.
    first_NCHW = features(teacher, pictures, "relu1_1")[:, kept]
    assert relative(features(student, pictures, "relu1_1"), first_NCHW) < 0.002
    second_NCHW = features(teacher, pictures, "relu1_2")
    cut = {
        "features.0.weight": teacher["features.0.weight"][kept],
        "features.0.bias": teacher["features.0.bias"][kept],
        "features.2.weight": teacher["features.2.weight"][chosen][:, kept],
        "features.2.bias": teacher["features.2.bias"][chosen],
    }
    expected = second_NCHW[:, chosen]
    refitted, plain = (relative(features(weights, pictures, "relu1_2"), expected) for weights in (student, cut))
    assert refitted < 0.5 * plain


def test_the_most_telling_channels_explain_all_others_where_these_are_combinations_of_few():
    generator = torch.Generator().manual_seed(2)
    basis_KP = torch.randn((3, 200), generator=generator, dtype=torch.float64)
    mixing_CK = torch.randn((9, 3), generator=generator, dtype=torch.float64)
    values_CP = mixing_CK @ basis_KP
    taken = most_telling(values_CP @ values_CP.T, 9)
    assert len(taken) == 3
    assert int((values_CP @ values_CP.T).diagonal().argmax()) in taken
    solved = torch.linalg.lstsq(values_CP[taken].T, values_CP.T).solution
    torch.testing.assert_close(values_CP[taken].T @ solved, values_CP.T)
