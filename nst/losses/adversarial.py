"""The game between a network and a critic that tells its pictures from real ones. Knows no layer and no weight.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.func import functional_call
from torch.nn.functional import relu

if TYPE_CHECKING:
    from torch import Tensor, nn


def hinge_loss(scores_B1HW: Tensor, label: float) -> Tensor:
    """Return each picture's mean of max(0, 1 - label x score) over its patches, shape (B,).

    Args:
        scores_B1HW: What a critic says of each patch: positive means real. All zero, the loss is 1.
        label: 1 where they ought to be called real, -1 where not.

    Source:
        Li & Wand 2016, section 3; chuanli11/MGANs, `MarginCriterion(1)`.

    Example:
        >>> hinge_loss(torch.zeros(1, 1, 4, 4), 1.0)  # the critic cannot tell
        tensor([1.])
    """
    return relu(1.0 - label * scores_B1HW).mean((1, 2, 3))


@dataclass(frozen=True, slots=True)
class Duel:
    """One step of the game at one layer; calling it returns what the network has to lose.

    Attributes:
        critic: Scores every patch of features, shape (B, C, H, W) to (B, 1, h, w).
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

        Its gradient is each player's own. The network gets that of the value, past a critic that stands still; the
        critic gets that of `critic_loss`, which adds nothing to the value, past pictures that stand still. So one
        backward pass and one Adam, which treats every parameter by itself whatever the scale of its gradients, are a
        step of both.

        Source:
            Li & Wand 2016, section 3. Differs: both players move at once, theirs one after the other.
        """
        still = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        judged_B = hinge_loss(functional_call(self.critic, still, (features_BCHW,)), 1.0)
        own_B = self.critic_loss(features_BCHW.detach())
        return judged_B + (own_B - own_B.detach())

    def critic_loss(self, features_BCHW: Tensor) -> Tensor:
        """Return what the critic has to lose, shape (B,): small where it tells these features from real ones."""
        return hinge_loss(self.critic(self.real), 1.0) + hinge_loss(self.critic(features_BCHW), -1.0)
