"""The hinge losses of network and critic against closed forms, and each player's gradient against its own loss.

A critic is made of convolutions, for which torch allows TF32 unless told otherwise: the `device` fixture forbids it.
"""

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck

from nst.losses.adversarial import Duel, hinge_loss
from nst.networks.mgan import PatchCritic


@pytest.fixture
def features(draw):
    """A function of a seed and a number of maps."""
    return lambda seed, count, side=6, channels=3: draw(count, channels, side, side, seed=seed)


@pytest.fixture
def critic(device, dtype):
    torch.manual_seed(5)
    mean, deviation = torch.full((1, 3, 1, 1), 0.25), torch.full((1, 3, 1, 1), 2.0)
    return PatchCritic(mean, deviation, filters=4).to(device, dtype)


def test_hinges_are_the_mean_distance_to_the_margin_where_it_is_missed(device, dtype):
    scores = torch.tensor([[2.0, 0.5, -1.0, 0.0], [1.0, 1.0, 1.0, 5.0]], device=device, dtype=dtype).view(2, 1, 2, 2)
    assert hinge_loss(scores, 1.0).tolist() == [(0.0 + 0.5 + 2.0 + 1.0) / 4, 0.0]
    assert hinge_loss(scores, -1.0).tolist() == [(3.0 + 1.5 + 0.0 + 1.0) / 4, (2.0 + 2.0 + 2.0 + 6.0) / 4]
    assert hinge_loss(torch.zeros(1, 1, 3, 3), 1.0).item() == 1.0
    # torch's own, whose label is for the second of two scores
    theirs = nn.functional.margin_ranking_loss(scores[0], 0 * scores[0], torch.ones_like(scores[0]), margin=1.0)
    assert hinge_loss(scores[:1], 1.0).item() == theirs.item()


@pytest.mark.parametrize("label", [1.0, -1.0])
def test_hinges_have_the_gradient_of_their_value(label, features):
    scores = features(1, 2, channels=1).double().requires_grad_()
    assert ((1.0 - label * scores).abs() > 1e-3).all(), "away from the kink"
    assert gradcheck(lambda x: hinge_loss(x, label), (scores,))


def test_a_critic_sees_patches_of_three_by_three_in_the_units_of_the_style(critic, features, rounding):
    picture = features(1, 1)
    scores = critic(picture)
    assert scores.shape == (1, 1, 4, 4)
    patch = (picture[0, :, 1:4, 2:5] - 0.25) / 2.0
    seen = torch.einsum("fchw,chw->f", critic.patches.weight, patch) + critic.patches.bias
    seen = torch.where(seen > 0, seen, 0.2 * seen)
    expected = (critic.score.weight.view(-1) * seen).sum() + critic.score.bias
    assert scores[0, 0, 1, 2].item() == pytest.approx(expected.item(), rel=max(1e-12, rounding))


def test_a_channel_that_the_style_does_not_use_does_not_drown_the_others():
    deviation = torch.tensor([1.0, 1.0, 1e-9]).view(1, 3, 1, 1)
    units = PatchCritic(torch.zeros(1, 3, 1, 1), deviation).deviation.flatten().tolist()
    assert units == pytest.approx([1.0, 1.0, 0.1 * (2 / 3) ** 0.5])


def test_a_critic_judges_each_picture_by_itself(critic, features):
    pictures = features(1, 3)
    torch.testing.assert_close(critic(pictures)[1:2], critic(pictures[1:2]))


def test_a_duel_is_worth_what_the_network_has_to_lose(critic, features):
    real, fake = features(1, 2, 9), features(2, 2)
    expected = hinge_loss(critic(fake), 1.0)
    torch.testing.assert_close(Duel(critic, real)(fake), expected, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(Duel(critic, real)(fake), expected, rtol=0, atol=0)


def test_each_player_gets_the_gradient_of_its_own_loss(critic, features):
    # Ten times as large, some patches are beyond the margin: inside it, both halves pull alike at the score's bias.
    real, fake = 10.0 * features(1, 2, 9), features(2, 2).requires_grad_()
    parameters = list(critic.parameters())
    duel = Duel(critic, real)
    found = torch.autograd.grad(duel(fake).sum(), [fake, *parameters])
    (of_network,) = torch.autograd.grad(hinge_loss(critic(fake), 1.0).sum(), fake)
    of_critic = torch.autograd.grad(
        (hinge_loss(critic(real), 1.0) + hinge_loss(critic(fake.detach()), -1.0)).sum(), parameters
    )
    for ours, expected in zip(found, (of_network, *of_critic), strict=True):
        torch.testing.assert_close(ours, expected)
        assert ours.abs().max() > 0


def test_the_critics_loss_has_the_gradient_of_its_value(features, device):
    real, fake = features(1, 1, 3).double(), features(2, 1, 3).double()
    weight = torch.full((1, 3, 3, 3), 0.02, device=device, dtype=torch.float64, requires_grad=True)

    def loss(weight):
        return Duel(lambda x: nn.functional.conv2d(x, weight), real).critic_loss(fake)

    assert gradcheck(loss, (weight,))
    (gradient,) = torch.autograd.grad(loss(weight), weight)
    # Inside the margin the loss of a linear critic is linear in its weights.
    torch.testing.assert_close(gradient, fake - real)


def test_an_undecided_critic_loses_two_and_a_right_one_nothing():
    undecided = Duel(lambda x: torch.zeros_like(x[:, :1]), torch.ones(1, 1, 3, 3))
    assert undecided.critic_loss(-torch.ones(1, 1, 3, 3)).item() == 2.0
    right = Duel(lambda x: 2.0 * x, torch.ones(1, 1, 3, 3))
    assert right.critic_loss(-torch.ones(1, 1, 3, 3)).item() == 0.0
