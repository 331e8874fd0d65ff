"""The adversarial loss of a network, or of pictures, and of the critic that tells them from real ones. Knows no layer.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import torch
from torch.func import functional_call
from torch.nn.functional import relu

from nst.losses.objective import Losses, Objective, Term, arithmetic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

BETAS: Final = (0.5, 0.999)
"""Decays of Adam, for pixels and their critics (0.5 in chuanli11/MGANs, for both)."""


def hinge_loss(scores_B1HW: Tensor, label: float) -> Tensor:
    """Return each picture's mean of max(0, 1 - label x score) over its patches, shape (B,).

    Args:
        scores_B1HW: The critic's score of each patch: positive means real. If all scores are zero, the loss is 1.
        label: 1 if the patches are to be called real, -1 if they are to be called painted.

    Source:
        Li & Wand 2016, section 3; chuanli11/MGANs, `MarginCriterion(1)`.

    Example:
        >>> hinge_loss(torch.zeros(1, 1, 4, 4), 1.0)  # an undecided critic
        tensor([1.])
    """
    return relu(1.0 - label * scores_B1HW).mean((1, 2, 3))


@dataclass(frozen=True, slots=True)
class Duel:
    """The losses of both players at one layer in one step; calling it returns the network's.

    Attributes:
        critic: Maps features, shape (B, C, H, W), to a score of every patch, shape (B, 1, h, w).
        real: Features of real pictures, shape (B, C, H, W).

    Example:
        >>> critic = torch.nn.Conv2d(1, 1, 3)
        >>> Duel(critic, real=torch.rand(2, 1, 5, 5))(torch.rand(2, 1, 5, 5)).shape
        torch.Size([2])
    """

    critic: nn.Module
    real: Tensor

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each picture's loss, shape (B,): small where the critic takes its patches for real ones.

        Each player gets the gradient of its own loss. The network gets the gradient of the returned value, with the
        critic held constant. The critic gets the gradient of `critic_loss`, which adds nothing to the value, with the
        pictures held constant. One backward pass and one step of Adam therefore train both players; Adam treats every
        parameter separately and is not affected by the scale of its gradient.

        Source:
            Li & Wand 2016, section 3. Differs: both players move at once; theirs move one after the other.
        """
        constants = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        network_B = hinge_loss(functional_call(self.critic, constants, (features_BCHW,)), 1.0)
        critic_B = self.critic_loss(features_BCHW.detach())
        return network_B + (critic_B - critic_B.detach())

    def critic_loss(self, features_BCHW: Tensor) -> Tensor:
        """Return the critic's loss for each picture, shape (B,): small where it tells these features from real ones."""
        return hinge_loss(self.critic(self.real), 1.0) + hinge_loss(self.critic(features_BCHW), -1.0)


@dataclass(frozen=True, slots=True)
class Contest:
    """The duels of several pictures at one layer, each with a critic of its own; calling it returns their losses, (B,).

    Attributes:
        critics: The critic of each picture, as in `Duel`.
        real: For each picture, the features of its style images, shape (1, C, H, W) each.
        shares: For each picture, the weight of each of its style images in the critic's loss; they add up to 1.

    Example:
        >>> critic = torch.nn.Conv2d(1, 1, 3)
        >>> styles = [torch.rand(1, 1, 5, 5), torch.rand(1, 1, 9, 7)]
        >>> Contest([critic], [styles], [[0.5, 0.5]])(torch.rand(1, 1, 5, 5)).shape
        torch.Size([1])
    """

    critics: Sequence[nn.Module]
    real: Sequence[Sequence[Tensor]]
    shares: Sequence[Sequence[float]]

    def __call__(self, features_BCHW: Tensor) -> Tensor:
        """Return each picture's loss, whose gradients are those of `Duel`."""
        losses = []
        for number, critic in enumerate(self.critics):
            own_1CHW = features_BCHW[number : number + 1]
            pairs = zip(self.real[number], self.shares[number], strict=True)
            losses.append(torch.stack([share * Duel(critic, real_1CHW)(own_1CHW) for real_1CHW, share in pairs]).sum(0))
        return torch.cat(losses)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters of all critics."""
        for critic in self.critics:
            yield from critic.parameters()


@dataclass(frozen=True, slots=True)
class Game(Objective):
    """An objective some of whose terms are contests; each time it gives the pictures their gradient, the critics move.

    Attributes:
        critics: Optimiser of the parameters of all critics.
    """

    critics: torch.optim.Optimizer = field(kw_only=True)

    def with_gradient(self, images_BCHW: Tensor) -> tuple[Losses, Tensor]:
        """Return the losses before the critics' step, and the gradient of each image's total, as `Objective` does."""
        images_BCHW = images_BCHW.detach().requires_grad_()
        parameters = [parameter for group in self.critics.param_groups for parameter in group["params"]]
        with arithmetic(self.precision, images_BCHW.device):
            losses = self(images_BCHW)
            gradient_BCHW, *moves = torch.autograd.grad(losses.total.sum(), (images_BCHW, *parameters))
        for parameter, move in zip(parameters, moves, strict=True):
            parameter.grad = move
        self.critics.step()
        parts = {name: part_B.detach() for name, part_B in losses.parts.items()}
        return Losses(losses.total.detach(), parts), gradient_BCHW


def contest_terms(contests: Mapping[str, Contest], layers: Mapping[str, float], weights: Tensor) -> list[Term]:
    """Return a term of the adversarial loss for every layer.

    Args:
        contests: The contest at each layer.
        layers: Weight of each layer.
        weights: Weight of the adversarial loss for each picture, shape (B,).

    Example:
        >>> contest = Contest([torch.nn.Conv2d(1, 1, 3)], [[torch.rand(1, 1, 5, 5)]], [[1.0]])
        >>> contest_terms({"relu3_1": contest}, {"relu3_1": 0.5}, torch.tensor([10.0]))[0].weights
        tensor([5.])
    """
    return [Term("style", layer, contests[layer], "positions", share, share * weights)
            for layer, share in layers.items()]  # fmt: skip
