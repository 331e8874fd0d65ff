"""Gram matrices and their loss: by hand, by the paper's gradient, and by torchvision's VGG-19.

Matrix products are compared with sums in full precision, so the `device` fixture forbids TF32.
"""

import json

import pytest
import torch

from nst.backbones import VGG
from nst.losses.gram import gram_distance, gram_energy, gram_statistics
from nst.ops import gram_matrix


@pytest.fixture
def features(draw):
    return draw(2, 3, 4, 5, seed=3)


@pytest.fixture
def target(draw):
    return gram_statistics(draw(2, 3, 6, 7, seed=4))


def test_gram_matrix_is_the_mean_product_of_channels(features):
    expected = features.new_zeros(2, 3, 3)
    for image in range(2):
        for row in range(4):
            for column in range(5):
                vector = features[image, :, row, column]
                expected[image] += torch.outer(vector, vector) / 20
    torch.testing.assert_close(gram_matrix(features), expected)


def test_gram_matrix_forgets_where_things_are(features):
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    shuffled = features.flatten(2)[:, :, order].view_as(features)
    torch.testing.assert_close(gram_matrix(shuffled), gram_matrix(features))


def test_gram_matrix_does_not_depend_on_the_size_of_a_repeated_picture(features):
    torch.testing.assert_close(gram_matrix(features.repeat(1, 1, 3, 2)), gram_matrix(features))


def test_distance_and_energy_are_squared_frobenius_norms(features, target, rounding):
    statistics = gram_statistics(features)
    differences = (statistics[0] - target[0]).double().cpu().numpy()
    squares = [(difference**2).sum() for difference in differences]
    assert gram_distance(statistics, target).tolist() == pytest.approx(squares, rel=rounding)
    zero = (torch.zeros_like(target[0]),)
    torch.testing.assert_close(gram_distance(zero, target), gram_energy(target))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_gradients_of_the_matrix_match_finite_differences_twice(layout):
    """For any change of the matrix, a symmetric one or not; twice, since a training can compare gradients."""
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    features = features.contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(gram_matrix, features)
    assert torch.autograd.gradgradcheck(gram_matrix, features)


def test_gradient_matches_finite_differences(features, target):
    exact = (target[0].double(),)
    free = features.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gram_distance(gram_statistics(x), exact), (free,))


def test_gradient_is_the_papers_equation_6(features, target):
    free = features.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(gram_distance(gram_statistics(free), target).sum(), free)
    difference = gram_matrix(features) - target[0]
    torch.testing.assert_close(gradient.flatten(2), 4 / 20 * difference @ features.flatten(2))


def test_known_answers_of_torchvisions_vgg19(shared_data, device, dtype):
    load_file = pytest.importorskip("safetensors.torch").load_file
    weights = load_file(shared_data / "weights" / "vgg19_torchvision_to_conv2_1.f32.safetensors")
    fixture = json.loads((shared_data / "weights" / "vgg19_torchvision_fixture_16px.json").read_text())
    size = fixture["imageSize"]
    network = VGG("vgg19", ["relu1_1", "relu2_1"], weights).to(device, dtype)
    style, image = (
        torch.tensor(fixture[f"{name}ImageValues"], dtype=torch.float64).view(1, 3, size, size).to(device, dtype)
        for name in ("style", "input")
    )
    image.requires_grad_()
    targets, features = network(style), network(image)
    expected = {"relu1_1": ("relu1", 1.15169896e-05), "relu2_1": ("relu6", 1.18020151e-04)}
    for layer, (key, answer) in expected.items():
        channels = features[layer].shape[1]
        # Gram / (C H W) and the mean over entries are this library's distance over C^4.
        loss = gram_distance(gram_statistics(features[layer]), gram_statistics(targets[layer])) / channels**4
        assert loss.item() == pytest.approx(answer, rel=2e-6 if dtype == torch.float64 else 1e-4)
        (gradient,) = torch.autograd.grad(loss.sum(), image, retain_graph=True)
        known = torch.tensor(fixture["expectedGradients"]["styleByLayer"][key]).to(device, dtype)
        torch.testing.assert_close(gradient.flatten(), known, rtol=1e-3, atol=1e-4 * known.abs().max().item())
