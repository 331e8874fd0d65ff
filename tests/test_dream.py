"""Dreams: what layers see grows; steps, jitter and octaves are those of the source; a batch is its cells."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import RANDOM, blocks, farthest, losses_of, request, run, small, together_and_alone, workspace
from safetensors.torch import load_file

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.dream import DreamConfig
from nst.errors import InputError
from nst.losses.objective import Objective
from nst.losses.reward import activation, reward_term
from nst.losses.terms import tv_term
from nst.methods import stylize_batch
from nst.methods.ascent import NormalisedSteps, Shifts
from nst.pictures.images import Pixels, decode, resize_to

PICTURE = Pixels("picture", blocks(3, 64, 80, side=8))
settings = partial(small, DreamConfig, layers=["relu2_1"], pyramid={"levels": 2}, jitter=4, trace_every=1)


def of(config, content=PICTURE):
    return request(config, content, [])


@pytest.mark.parametrize(("name", "layers"), [("vgg16", ["relu2_2", "relu3_1"]), ("squeezenet", ["fire3", "fire5"])])
@pytest.mark.slow
def test_activations_grow_and_the_loss_is_minus_their_growth(name, layers):
    backbone = {"name": name, "weights": "random"}
    (made,) = run(of(settings(backbone=backbone, layers=layers, precision="float64")))
    assert made.error is None
    assert made.image.shape == (32, 40, 3)
    assert made.steps == 20
    assert made.losses.loss < -1.2
    network = build_backbone(BackboneConfig(**backbone), layers, None, dtype=torch.float64)
    before, after = (
        network(torch.from_numpy(array.copy()).permute(2, 0, 1)[None].double() / 255)
        for array in (resize_to(PICTURE.array, 40, 32), made.image)
    )
    grown = [float(after[layer].square().mean() / before[layer].square().mean()) for layer in layers]
    assert made.losses.loss == pytest.approx(-sum(grown) / 2, rel=1e-6)
    assert made.losses.terms.keys() == {"tv"}


def test_the_real_network_dreams_more_than_the_photograph_shows(shared_data):
    weights = load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors")
    photo = Pixels("tubingen", decode((shared_data / "images/content/tubingen.jpg").read_bytes()))
    config = settings(size=128, layers=["fire6"], jitter=16, backbone={"name": "squeezenet", "weights": "x"})
    (made,) = stylize_batch([of(config, photo)], workspace(weights))
    assert made.losses.loss < -3
    change = made.image.astype(float) - resize_to(photo.array, *made.image.shape[1::-1])
    assert 5 < np.abs(change).mean() < 60  # much was added, and the photograph is still there


def test_a_step_moves_values_by_the_step_size_on_average():
    start = torch.full((2, 3, 8, 8), 0.5)
    scales = torch.tensor([1e-9, 1e6])[:, None, None, None]
    gradient = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * scales
    steps = NormalisedSteps(start, 0.01)
    steps.observe(torch.zeros(2), gradient)
    moved = steps.result() - start
    assert moved.abs().mean((1, 2, 3)).tolist() == pytest.approx([0.01, 0.01], rel=1e-4)
    assert ((moved < 0) == (gradient > 0)).all()


def test_values_stay_in_range_and_broken_gradients_and_flat_ones_move_nothing():
    steps = NormalisedSteps(torch.full((3, 3, 4, 4), 0.999), 0.5)
    gradient = torch.stack([-torch.ones(3, 4, 4), torch.full((3, 4, 4), torch.nan), torch.zeros(3, 4, 4)])
    steps.observe(torch.zeros(3), gradient)
    assert steps.result()[0].eq(1.0).all()
    assert steps.result()[1:].eq(0.999).all()


def test_shifts_come_back_and_do_not_depend_on_the_batch():
    def objective(images):
        seen.append(images)
        return images.mean((1, 2, 3)), images  # as gradient what was seen

    seen: list = []
    images = torch.rand(3, 3, 16, 20)
    _, back = Shifts([5, 6, 7], 6).around(objective)(images)
    assert torch.equal(back, images)
    assert not torch.equal(seen[0], images)
    Shifts([6], 6).around(objective)(images[1:2])
    assert torch.equal(seen[1][0], seen[0][1])
    Shifts([5], 0).around(objective)(images)
    assert torch.equal(seen[2], images)


def test_what_is_added_is_carried_on_and_the_photograph_stays_sharp():
    fine = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)  # detail that a coarse octave cannot hold
    config = settings(size=80, steps=1, step_size=1e-4, pyramid={"levels": 3})
    (made,) = run(of(config, Pixels("fine", fine)))
    assert farthest(made.image, fine) <= 2


def test_gradients_are_those_of_finite_differences():
    network = build_backbone(BackboneConfig(name="squeezenet", **RANDOM), ["fire3"], None, dtype=torch.float64)
    weight_B = torch.tensor([0.5, 2.0], dtype=torch.float64)

    terms = [tv_term(weight_B), reward_term("fire3", activation, torch.ones_like(weight_B))]
    objective = Objective(network, terms, "float64")
    images = torch.rand(2, 3, 17, 19, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, gradient = objective.with_gradient(images)
    direction = torch.randn(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ahead, behind = (objective(images + sign * 1e-6 * direction).total for sign in (1, -1))
    expected = ((ahead - behind) / 2e-6).tolist()
    assert (gradient * direction).sum((1, 2, 3)).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_a_batch_equals_its_cells_alone():
    configs = [settings(seed=n, noise=0.1 * n, tv_weight=n, steps=3, precision="float64") for n in range(3)]
    for together, alone in together_and_alone(*map(of, configs)):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-9)
        assert np.array_equal(together.image, alone.image)


def test_seeds_differ_and_dreams_from_noise_need_no_picture():
    one, other = run(*(of(settings(init="noise", seed=seed), None) for seed in (1, 2)))
    assert one.image.shape == (40, 40, 3)
    assert not np.array_equal(one.image, other.image)
    assert settings(init="noise").needs == frozenset()
    (refused,) = run(of(settings(), None))
    assert isinstance(refused.error, InputError)
    (thin,) = run(of(settings(size=16, layers=["relu5_1"])))
    assert isinstance(thin.error, InputError)
