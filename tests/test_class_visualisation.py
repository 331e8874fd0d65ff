"""Class visualisation: the real network is sure of its class; gradients are right; only a classifier will do."""

from functools import partial
from statistics import median

import numpy as np
import pytest
import torch
from cells import RANDOM, losses_of, request, run, small, together_and_alone, workspace
from safetensors.torch import load_file

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.class_visualisation import ClassVisualisationConfig
from nst.errors import InputError, ManifestError
from nst.losses.objective import Objective
from nst.losses.reward import class_score, reward_term, squared_distance_to_mean
from nst.losses.terms import tv_term
from nst.manifest.sweep import parse_manifest
from nst.methods import stylize_batch
from nst.methods.class_visualisation import class_names

GOLDFISH, FLAMINGO, DAISY = 1, 130, 985


settings = partial(small, ClassVisualisationConfig, target=3, size=64, steps=5, jitter=4)


def of(config):
    return request(config, None, [])


def visualise(*configs):
    return run(*map(of, configs))


def by_real_network(weights, *configs):
    return stylize_batch(list(map(of, configs)), workspace(weights))


@pytest.mark.slow
def test_the_real_network_is_sure_of_what_it_drew(shared_data):
    """Of two pictures of three: where one ends hangs on the last bit of its gradients, which processors round apart."""
    weights = load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors")
    changes = {"size": 112, "steps": 40, "jitter": 8, "backbone": {"weights": "squeezenet.safetensors"}}
    for target, name in ((GOLDFISH, "goldfish"), (FLAMINGO, "flamingo"), (DAISY, "daisy")):
        made = by_real_network(weights, *(settings(target=target, seed=seed, **changes) for seed in range(3)))
        assert [one.report["class_name"] for one in made].count(name) >= 2
        # Surer of it than of all the 999 others together; of noise it is 0.001.
        assert median(one.report["class_probability"] for one in made) > 0.5
        # Flamingos are red, goldfish too; where they are, there is less blue than in the mean colour.
        assert target == DAISY or all(one.image[..., 0].mean() > one.image[..., 2].mean() for one in made)


def test_the_probability_is_that_of_torchvisions_network(shared_data, torchvision):
    models = torchvision.models
    weights = load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors")
    (made,) = by_real_network(weights, settings(target=DAISY, backbone={"weights": "x"}))
    network = models.squeezenet1_1().eval()
    network.load_state_dict(weights)
    normalise = models.SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()
    picture = torch.from_numpy(made.image.copy()).permute(2, 0, 1) / 255 - torch.tensor(normalise.mean)[:, None, None]
    with torch.no_grad():
        logits = network((picture / torch.tensor(normalise.std)[:, None, None])[None])[0]
    assert made.report["class_probability"] == pytest.approx(float(logits.softmax(0)[DAISY]), rel=1e-3)


def test_gradients_are_those_of_finite_differences():
    network = build_backbone(BackboneConfig(name="squeezenet", **RANDOM), ["conv10"], None, dtype=torch.float64)
    mean = torch.full((1, 3, 1, 1), 0.4, dtype=torch.float64)
    weights_B = torch.tensor([2.0, 0.5], dtype=torch.float64)

    terms = [
        tv_term(weights_B),
        reward_term("conv10", partial(class_score, targets_B=torch.tensor([7, 400])), torch.ones_like(weights_B)),
        reward_term(None, partial(squared_distance_to_mean, mean=mean), -weights_B),
    ]
    objective = Objective(network, terms, "float64")
    images = torch.rand(2, 3, 18, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, gradient = objective.with_gradient(images)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        direction = torch.randn(images.shape, dtype=torch.float64, generator=generator)
        step = 1e-6
        ahead, behind = (objective(images + sign * step * direction).total for sign in (1, -1))
        expected = ((ahead - behind) / (2 * step)).tolist()
        assert (gradient * direction).sum((1, 2, 3)).tolist() == pytest.approx(expected, rel=1e-5)


def test_score_and_distance_in_closed_form():
    scores = torch.arange(2 * 3 * 4, dtype=torch.float64).view(2, 3, 2, 2)
    assert class_score(scores, torch.tensor([2, 0])).tolist() == [9.5, 13.5]
    grey = torch.tensor([0.5, 0.25, 0.0], dtype=torch.float64).view(1, 3, 1, 1)
    assert squared_distance_to_mean(torch.zeros(1, 3, 4, 4).double(), grey).item() == pytest.approx((0.25 + 0.0625) / 3)


@pytest.mark.slow
def test_a_batch_equals_its_cells_alone():
    configs = [
        settings(target=5 * n, l2_weight=10.0 * n, tv_weight=n, noise=0.1 * n, seed=n, steps=2, precision="float64")
        for n in range(3)
    ]
    for together, alone in together_and_alone(*map(of, configs)):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-9)
        assert np.array_equal(together.image, alone.image)
        assert together.report["class_name"] is None


@pytest.mark.slow
def test_more_regularisation_stays_nearer_to_the_mean_colour():
    near, far = visualise(*(settings(l2_weight=weight, steps=10, jitter=0) for weight in (1e7, 0.0)))
    mean = np.array([124, 117, 104])
    assert np.square(near.image - mean).mean() < 0.5 * np.square(far.image - mean).mean()


@pytest.mark.usefixtures("torchvision")
def test_classes_have_names():
    names = class_names()
    assert len(names) == 1000
    assert (names[0], names[999]) == ("tench", "toilet tissue")


def test_a_picture_too_small_for_the_classifier_is_refused():
    (made,) = visualise(settings(size=32, pyramid={"levels": 3, "factor": 0.5}))
    assert isinstance(made.error, InputError)


@pytest.mark.parametrize(
    ("method", "place", "message"),
    [
        (
            "{name: class_visualisation, target: 1, backbone: vgg19}",
            "vgg19",
            "vgg19 has no classifier here, expected s",
        ),
        ("{name: class_visualisation, target: 1, backbone: {name: vgg16}}", "vgg16", "vgg16 has no classifier here"),
        ("{name: class_visualisation, target: 1000}", "1000", "found 1000, expected less than 1000"),
    ],
)
def test_what_a_manifest_may_not_say(method, place, message):
    text = f"name: x\nmethod: {method}"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "x.yaml")
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert text.splitlines()[problem.line - 1][problem.column - 1 :].startswith(place)


def test_a_sweep_over_classes_needs_no_images():
    manifest = parse_manifest("name: x\nmethod: class_visualisation\nsweep: {target: [1, 2]}", "x.yaml")
    assert manifest.variants.config(1).target == 2
    assert manifest.variants.needs == [frozenset()]
    assert len(manifest.variants.first) == 1
