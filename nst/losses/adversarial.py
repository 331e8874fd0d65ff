"""The adversarial loss of a network and of the critic that tells its pictures from real ones. Knows no layer.

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
