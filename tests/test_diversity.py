"""The diversity term and the estimate of entropy in closed form, and the temperature that weighs them."""

import math

import numpy as np
import pytest
import torch
from cells import RANDOM, blocks, picture, workspace
from pydantic import ValidationError
from scipy.spatial import KDTree
from scipy.special import digamma, gammaln
from trainings import train_alone, write_pictures

from nst.config.training import TextureNetTraining
from nst.losses.diversity import FLOOR, diversity_loss, entropy
from nst.training import Trainer
from tasks.root import open_root

FAR = 1000.0
"""Scale at which `FLOOR` is nothing."""


def test_diversity_is_minus_the_mean_log_distance_to_the_nearest(device, dtype, rounding):
    values = torch.tensor([0.0, 0.1, 0.7], device=device, dtype=dtype)
    images = values[:, None, None, None].expand(3, 3, 2, 2)
    nearest = [0.1, 0.1, 0.6]
    expected = -sum(0.5 * math.log(distance**2 + FLOOR) for distance in nearest) / 3
    assert diversity_loss(images).item() == pytest.approx(expected, rel=rounding)
    halved = diversity_loss(images / 2) - diversity_loss(images)
    assert halved.item() == pytest.approx(math.log(2), rel=1e-3)
    assert diversity_loss(torch.zeros_like(images)).item() == pytest.approx(-0.5 * math.log(FLOOR))


def test_groups_are_compared_by_themselves(device, dtype, rounding):
    values = torch.tensor([0.0, 0.7, 0.1, 0.4], device=device, dtype=dtype)
    pairs = values[:, None, None, None].expand(4, 3, 2, 2)
    expected = -0.25 * (math.log(0.7**2 + FLOOR) + math.log(0.3**2 + FLOOR))
    assert diversity_loss(pairs, 2).item() == pytest.approx(expected, rel=rounding)


def test_gradient_matches_finite_differences(draw):
    assert torch.autograd.gradcheck(diversity_loss, (draw(3, 1, 2, 2).double().requires_grad_(),))


def numbers(values):
    """Return numbers (float64) as pictures, one value for each column of the array."""
    return torch.from_numpy(np.asarray(values, np.float64))[:, :, None, None]


def test_entropy_equals_the_estimate_by_other_libraries():
    points = FAR * np.random.default_rng(1).normal(size=(7, 5))
    nearest = KDTree(points).query(points, 2)[0][:, 1]
    ball = 2.5 * math.log(math.pi) - gammaln(3.5)
    expected = 5 * np.log(nearest).mean() + ball + digamma(7) - digamma(1)
    assert 5 * entropy(numbers(points)).item() == pytest.approx(expected, rel=1e-9)
    scaled = entropy(numbers(3 * points)) - entropy(numbers(points))
    assert scaled.item() == pytest.approx(math.log(3), rel=1e-7), "H(aX) = H(X) + D log a"


@pytest.mark.parametrize("count", [2, 4, 16])
def test_entropy_of_uniform_numbers_has_the_bias_of_the_two_ends(count):
    # The gaps between sorted uniform numbers are Dirichlet distributed, and the two outermost have one neighbour.
    found = entropy(numbers(np.random.default_rng(2).uniform(0, FAR, (40_000 * count, 1))), count)
    error = found.std().item() / math.sqrt(len(found))
    bias = (2 * math.log(2) - 1) / count
    assert found.mean().item() - math.log(FAR) == pytest.approx(bias, abs=4 * error)
    assert error < 0.01


def test_entropy_of_a_cube_comes_from_many_points():
    found = 3 * entropy(numbers(np.random.default_rng(3).uniform(0, FAR, (1000, 3)))).item()
    assert -0.1 < found - 3 * math.log(FAR) < 0.3  # a point at a side has fewer neighbours: the bias is positive


@pytest.mark.parametrize("values", [1, 3, 48])
def test_entropy_of_pairs_of_gaussian_pictures_has_its_exact_bias(values):
    # The squared distance of two is 2 sigma^2 times a chi-square variable, whose mean log is psi(D / 2) + log 2.
    found = entropy(numbers(np.random.default_rng(4).normal(0, FAR, (20_000, values))), 2)
    truth = math.log(FAR) + 0.5 * math.log(2 * math.pi * math.e)
    ball = 0.5 * values * math.log(math.pi) - gammaln(0.5 * values + 1)
    expected = math.log(FAR) + math.log(2) + 0.5 * digamma(values / 2) + (ball + 1) / values
    error = found.std().item() / math.sqrt(len(found))
    assert found.mean().item() == pytest.approx(expected, abs=4 * error)
    assert (expected > truth) == (values > 1)


def test_entropy_of_few_large_gaussian_pictures_is_too_high_by_half_of_log_two():
    found = entropy(numbers(np.random.default_rng(5).normal(0, FAR, (4, 200_000)))).item()
    assert found - math.log(FAR) - 0.5 * math.log(2 * math.pi * math.e) == pytest.approx(0.5 * math.log(2), abs=0.005)


def test_gradient_of_the_entropy_matches_finite_differences(draw):
    assert torch.autograd.gradcheck(entropy, (draw(3, 1, 2, 2).double().requires_grad_(),))


def training(**settings):
    common = {"size": 16, "batch_size": 2, "scales": 2, "width": 4, "backbone": RANDOM, "style_layers": ["relu1_1"]}
    return Trainer(TextureNetTraining(**common, **settings), [picture(1)], workspace(), np.stack([blocks(0, 16, 16)]))


def test_the_temperature_weighs_the_sum_of_log_distances_by_the_number_of_values(draw):
    lesson = training(temperature=2e-4).lesson
    far, near = draw(2, 3, 16, 16), draw(2, 3, 16, 16) / 3
    logs = [float((pair[0] - pair[1]).double().norm().log()) for pair in (far, near)]
    change = lesson.extra_loss(near) - lesson.extra_loss(far)
    assert change.item() == pytest.approx(2e-4 * 3 * 16 * 16 * (logs[0] - logs[1]), rel=1e-3)


def test_a_temperature_is_a_diversity_weight_and_both_at_once_are_refused():
    hot, weighted = training(temperature=0.3 / (3 * 16**2)), training(diversity_weight=0.3)
    assert hot.step().diversity_loss == pytest.approx(weighted.step().diversity_loss, rel=1e-6)
    with pytest.raises(ValidationError, match="say the same twice"):
        training(temperature=1e-4, diversity_weight=0.3)


@pytest.mark.parametrize("mode", ["texture", "stylize"])
def test_validation_tells_the_entropy_of_each_photograph_and_its_error(mode):
    trainer = training(mode=mode)
    photographs = [blocks(seed, 16, 16) for seed in range(3)]
    measures = trainer.validate(photographs).measures
    noises = [[4 * number + sample for sample in range(4)] for number in range(3)]
    found = []
    trainer.network.eval()
    for photograph, seeds in zip(photographs, noises, strict=True):
        guide = torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 255 if mode == "stylize" else None
        with torch.no_grad():
            made = [trainer.network(trainer.network.draw(16, 16, [seed]), guide) for seed in seeds]
        found.append(entropy(torch.cat(made)).item())
    assert measures["entropy"] == pytest.approx(np.mean(found), rel=1e-5)
    assert measures["entropy_error"] == pytest.approx(np.std(found, ddof=1) / math.sqrt(3), rel=1e-3)


def test_the_entropy_of_a_model_is_on_record(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = "family: texture_net, size: 32, steps: 1, scales: 2, width: 4, style_layers: relu1_1, temperature: 1e-4"
    (tmp_path / "noise.yaml").write_text(
        "kind: train\nname: noise\nstyles: styles/dots.png\n"
        f"training: {{{settings}, backbone: {{name: vgg16, weights: random}}}}\n"
    )
    train_alone("noise.yaml", tmp_path / "out")
    (row,) = open_root("out").catalog.read("models").to_pylist()
    assert -6 < row["validation_entropy"] < 1.8  # from equal pictures to values a whole unit apart
    assert 0 < row["validation_entropy_error"] < 1
    assert row["temperature"] == 1e-4
