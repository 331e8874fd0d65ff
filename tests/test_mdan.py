"""Stylization against a critic on small pictures: both players move by their own losses, batches are exact."""

from functools import partial

import numpy as np
import pytest
import torch
from cells import CONTENT, LAYERS, STYLES, farthest, losses_of, objective_of, request, run, small, together_and_alone
from torch.func import functional_call
from torch.nn.functional import relu

from nst.config.mdan import MdanConfig
from nst.losses.adversarial import Contest, Game, hinge_loss
from nst.losses.objective import Term, extract
from nst.networks.mgan import PatchCritic
from nst.ops import to_tensor
from nst.pictures.images import Pixels

settings = partial(small, MdanConfig, **LAYERS, steps=8, pyramid={"levels": 1})


def test_the_loss_is_told_as_the_weighted_sum_of_its_terms():
    (result,) = run(request(settings(precision="float64", content_weight=0.5, style_weight=2.0, tv_weight=0.25)))
    losses = result.losses
    expected = 0.5 * losses.terms["content"].loss + 2.0 * losses.terms["style"].loss + 0.25 * losses.terms["tv"].loss
    assert losses.loss == pytest.approx(expected, rel=1e-9)
    assert losses.terms["style"].layers.keys() == {"relu1_1", "relu2_1"}
    assert result.trace[0].parts["content"] == pytest.approx(0.0, abs=1e-9), "it starts from the content"


@pytest.mark.slow
def test_a_batch_equals_its_cells_alone_though_each_has_a_critic_of_its_own():
    brief = {"precision": "float64", "steps": 4, "size": 24}
    configs = [settings(**brief, style_weight=1.0 + n, seed=n) for n in range(3)]
    requests = [request(config, styles=STYLES[n : n + 2], weights=(1.0, 3.0)) for n, config in enumerate(configs)]
    for together, alone in together_and_alone(*requests):
        assert losses_of(together) == pytest.approx(losses_of(alone), rel=1e-6)
        assert farthest(together.image, alone.image) <= 1


@pytest.mark.slow
def test_the_seed_draws_the_critic_and_nothing_else_does():
    torch.rand(3)
    first, again, other = (run(request(settings(seed=seed, steps=4)))[0] for seed in (1, 1, 2))
    assert np.array_equal(first.image, again.image)
    assert not np.array_equal(first.image, other.image)
    before = torch.random.get_rng_state()
    run(request(settings(steps=1)))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.slow
def test_a_step_moves_the_critic_down_its_own_loss_and_measuring_does_not():
    game = objective_of(request(settings(precision="float64")))
    (term,) = [term for term in game.terms if term.layer == "relu2_1" and term.name == "style"]
    (critic,), ((real,),) = term.loss.critics, term.loss.real
    with torch.no_grad():
        picture = to_tensor(CONTENT.array[None], torch.device("cpu"), torch.float64)
        painted = extract(game.backbone, picture, "float64")["relu2_1"]

    def loss():
        with torch.no_grad():
            return (relu(1 - critic(real)).mean() + relu(1 + critic(painted)).mean()).item()

    started = loss()
    game(picture)
    assert loss() == started
    _, gradient = game.with_gradient(picture)
    assert gradient.abs().max() > 0
    for _ in range(20):
        game.with_gradient(picture)
    assert loss() < 0.9 * started


class NoLayers:
    """A backbone of which no layer is asked for."""

    def maps(self, _):
        return iter(())


def quadratic_game(draw):
    """A game of one picture over pixels themselves, in float64."""
    torch.manual_seed(3)
    critic = PatchCritic(torch.zeros(1, 3, 1, 1), torch.ones(1, 3, 1, 1), filters=4).double()
    real = draw(1, 3, 7, 5, seed=1).double()
    contest = Contest([critic], [[real]], [[1.0]])
    term = Term("style", None, contest, "positions", 1.0, torch.tensor([0.7], dtype=torch.float64))
    return Game(NoLayers(), (term,), "float64", critics=torch.optim.Adam(contest.parameters(), 0.0)), critic


def test_the_gradient_of_a_picture_is_that_of_finite_differences_with_the_critic_held(draw):
    game, critic = quadratic_game(draw)
    picture = draw(1, 3, 6, 6, seed=2).double()
    held = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    _, gradient = game.with_gradient(picture)
    step = 1e-6 * draw(1, 3, 6, 6, seed=4).double()
    ahead, behind = (
        0.7 * hinge_loss(functional_call(critic, held, (picture + sign * step,)), 1.0).item() for sign in (1, -1)
    )
    assert (gradient * step).sum().item() == pytest.approx((ahead - behind) / 2, rel=1e-5)


def test_a_mixed_style_counts_by_its_weights(draw):
    _, critic = quadratic_game(draw)
    first, second, painted = (draw(1, 3, side, 5, seed=side).double() for side in (6, 9, 7))
    parameters = list(critic.parameters())

    def gradients(shares, maps):
        return torch.autograd.grad(Contest([critic], [maps], [shares])(painted).sum(), parameters)

    mixed = gradients([0.25, 0.75], [first, second])
    for found, one, other in zip(mixed, gradients([1.0], [first]), gradients([1.0], [second]), strict=True):
        torch.testing.assert_close(found, 0.25 * one + 0.75 * other)


def test_a_thin_style_is_refused_alone():
    thin = Pixels("thin", np.zeros((4, 40, 3), np.uint8))
    refused, fine = run(request(settings(steps=1), styles=[thin]), request(settings(steps=1)))
    assert "the style image is 40 x 4 pixels" in refused.error.message
    assert fine.error is None
