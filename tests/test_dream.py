"""Dreams: what layers see grows; steps, jitter and octaves are those of the source; a batch is its cells."""

import numpy as np
import pytest
import torch
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
from nst.workspace import Request, Workspace

PICTURE = Pixels(
    "picture", np.kron(np.random.default_rng(3).integers(40, 216, (8, 10, 3)), np.ones((8, 8, 1))).astype(np.uint8)
)
SQUEEZENET = {"name": "squeezenet", "weights": "random"}


def dream(*configs, content=PICTURE, weights=None):
    workspace = Workspace("cpu", lambda config: weights or pytest.fail(f"{config} is not loaded"))
    return stylize_batch([Request(str(n), content, (), (), "targets", one) for n, one in enumerate(configs)], workspace)


def settings(**changes):
    fields = {"backbone": {"weights": "random"}, "size": 80, "layers": ["relu2_1"], "pyramid": {"levels": 2}}
    return DreamConfig(**{**fields, "jitter": 4, "trace_every": 1, **changes})


@pytest.mark.parametrize(("name", "layers"), [("vgg16", ["relu2_2", "relu3_1"]), ("squeezenet", ["fire3", "fire5"])])
def test_activations_grow_and_the_loss_is_minus_their_growth(name, layers):
    backbone = {"name": name, "weights": "random"}
    (made,) = dream(settings(backbone=backbone, layers=layers, precision="float64"))
    assert made.error is None
    assert made.image.shape == (64, 80, 3)
    assert made.steps == 20
    assert made.losses.loss < -1.2
    network = build_backbone(BackboneConfig(**backbone), layers, None, dtype=torch.float64)
    before, after = (
        network(torch.from_numpy(array.copy()).permute(2, 0, 1)[None].double() / 255)
        for array in (resize_to(PICTURE.array, 80, 64), made.image)
    )
    grown = [float(after[layer].square().mean() / before[layer].square().mean()) for layer in layers]
    assert made.losses.loss == pytest.approx(-sum(grown) / 2, rel=1e-6)
    assert made.losses.terms.keys() == {"tv"}


def test_the_real_network_dreams_more_than_the_photograph_shows(shared_data):
    weights = load_file(shared_data / "weights/squeezenet1_1_torchvision.f16.safetensors")
    photo = Pixels("tubingen", decode((shared_data / "images/content/tubingen.jpg").read_bytes()))
    config = settings(size=128, layers=["fire6"], jitter=16, backbone={"name": "squeezenet", "weights": "x"})
    (made,) = dream(config, content=photo, weights=weights)
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
    config = settings(steps=1, step_size=1e-4, pyramid={"levels": 3})
    (made,) = dream(config, content=Pixels("fine", fine))
    assert np.abs(made.image.astype(int) - fine).max() <= 2


def test_gradients_are_those_of_finite_differences():
    network = build_backbone(BackboneConfig(**SQUEEZENET), ["fire3"], None, dtype=torch.float64)
    weight_B = torch.tensor([0.5, 2.0], dtype=torch.float64)

    terms = [tv_term(weight_B), reward_term("fire3", activation, torch.ones_like(weight_B))]
    objective = Objective(network, terms, "float64")
    images = torch.rand(2, 3, 17, 19, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, gradient = objective.with_gradient(images)
    direction = torch.randn(images.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    ahead, behind = (objective(images + sign * 1e-6 * direction).total for sign in (1, -1))
    expected = ((ahead - behind) / 2e-6).tolist()
    assert (gradient * direction).sum((1, 2, 3)).tolist() == pytest.approx(expected, rel=1e-5)


def test_a_batch_equals_its_cells_alone():
    configs = [settings(seed=n, noise=0.1 * n, tv_weight=n, size=40, precision="float64") for n in range(3)]
    for together, config in zip(dream(*configs), configs, strict=True):
        (alone,) = dream(config)
        assert [row.loss for row in together.trace] == pytest.approx([row.loss for row in alone.trace], rel=1e-9)
        assert np.array_equal(together.image, alone.image)


def test_seeds_differ_and_dreams_from_noise_need_no_picture():
    one, other = dream(settings(init="noise", seed=1), settings(init="noise", seed=2), content=None)
    assert one.image.shape == (80, 80, 3)
    assert not np.array_equal(one.image, other.image)
    assert settings(init="noise").needs == frozenset()
    (refused,) = dream(settings(), content=None)
    assert isinstance(refused.error, InputError)
    (thin,) = dream(settings(size=16, layers=["relu5_1"]))
    assert isinstance(thin.error, InputError)
