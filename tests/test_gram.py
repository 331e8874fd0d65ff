import json

import pytest
import torch

from nst.backbones import VGG
from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.ops import gram_matrix

GENERATOR = torch.Generator().manual_seed(3)
FEATURES = torch.randn(2, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)
TARGET = torch.randn(2, 3, 6, 7, generator=GENERATOR, dtype=torch.float64)


def test_gram_matrix_is_the_mean_product_of_channels():
    expected = torch.zeros(2, 3, 3, dtype=torch.float64)
    for image in range(2):
        for row in range(4):
            for column in range(5):
                vector = FEATURES[image, :, row, column]
                expected[image] += torch.outer(vector, vector) / 20
    torch.testing.assert_close(gram_matrix(FEATURES), expected)


def test_gram_matrix_forgets_where_things_are():
    order = torch.randperm(20, generator=GENERATOR)
    shuffled = FEATURES.flatten(2)[:, :, order].view_as(FEATURES)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(FEATURES))


def test_gram_matrix_does_not_depend_on_the_size_of_a_repeated_picture():
    torch.testing.assert_close(gram_matrix(FEATURES.repeat(1, 1, 3, 2)), gram_matrix(FEATURES))


def test_distance_and_energy_are_squared_frobenius_norms():
    statistics, target = gram_statistics(FEATURES), gram_statistics(TARGET)
    difference = (statistics[0] - target[0]).numpy()
    assert gram_distance(statistics, target).tolist() == pytest.approx([(d**2).sum() for d in difference], rel=1e-12)
    zero = (torch.zeros_like(target[0]),)
    torch.testing.assert_close(gram_distance(zero, target), gram_energy(target))


def test_gradient_matches_finite_differences():
    target = gram_statistics(TARGET)
    features = FEATURES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gram_distance(gram_statistics(x), target), (features,))


def test_gradient_is_the_papers_equation_6():
    features = FEATURES.clone().requires_grad_()
    target = gram_statistics(TARGET)
    (gradient,) = torch.autograd.grad(gram_distance(gram_statistics(features), target).sum(), features)
    difference = gram_matrix(FEATURES) - target[0]
    expected = 4 / 20 * difference @ FEATURES.flatten(2)
    torch.testing.assert_close(gradient.flatten(2), expected)


def test_known_answers_of_torchvisions_vgg19(shared_data):
    load_file = pytest.importorskip("safetensors.torch").load_file
    weights = load_file(shared_data / "weights" / "vgg19_torchvision_to_conv2_1.f32.safetensors")
    fixture = json.loads((shared_data / "weights" / "vgg19_torchvision_fixture_16px.json").read_text())
    size = fixture["imageSize"]
    network = VGG("vgg19", ["relu1_1", "relu2_1"], weights).double()
    style = torch.tensor(fixture["styleImageValues"], dtype=torch.float64).view(1, 3, size, size)
    image = torch.tensor(fixture["inputImageValues"], dtype=torch.float64).view(1, 3, size, size).requires_grad_()
    targets, features = network(style), network(image)
    expected = {"relu1_1": ("relu1", 1.15169896e-05), "relu2_1": ("relu6", 1.18020151e-04)}
    for layer, (key, answer) in expected.items():
        channels = features[layer].shape[1]
        # Gram / (C H W) and the mean over entries are this library's distance over C^4.
        loss = gram_distance(gram_statistics(features[layer]), gram_statistics(targets[layer])) / channels**4
        assert loss.item() == pytest.approx(answer, rel=2e-6)
        (gradient,) = torch.autograd.grad(loss.sum(), image, retain_graph=True)
        known = torch.tensor(fixture["expectedGradients"]["styleByLayer"][key], dtype=torch.float64)
        torch.testing.assert_close(gradient.flatten(), known, rtol=1e-3, atol=1e-4 * known.abs().max().item())
