"""What a lesson is: pictures of a network in training, and what they are measured by. Knows no family.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nst.losses.objective import Objective, extract
from nst.losses.terms import tv_term
from nst.ops import dtype_of, to_tensor

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from torch import Tensor, nn

    from nst.backbones import Backbone
    from nst.config.training import Training
    from nst.losses.objective import Term
    from nst.losses.style import Statistics
    from nst.networks import Network
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Syllabus:
    """What a network learns.

    Attributes:
        styles: The style images.
        rows: The row of each of them in a network that knows many styles.
        rows_known: How many rows that network has.
        masks: The regions of the styles, for families of masks.
    """

    styles: Sequence[Pixels]
    rows: Sequence[int]
    rows_known: int
    masks: Sequence[Labels] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """Something that an optimiser moves.

    Attributes:
        module: What is kept in checkpoints.
        parameters: What of it is moved.
        rate: Learning rate over that of the training.
    """

    module: nn.Module
    parameters: Sequence[Tensor]
    rate: float = 1.0


class Lesson:
    """What a network learns from; a family's own lesson makes its pictures and says their terms.

    Args:
        config: Settings of the training.
        syllabus: What the network learns.
        workspace: Backbones and device.

    Attributes:
        network: The network in training.
        undecided: Adversarial part of the loss, weighted, while the critic cannot tell; 0 without a critic.
    """

    config: Training
    network: Network
    backbone: Backbone

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        del syllabus  # a family keeps of it what it needs
        self.config = config
        self.device = workspace.device
        self.dtype = dtype_of(config.precision)
        self.undecided = 0.0

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures of the network and what they are measured by.

        Args:
            photographs_B3HW: RGB in [0, 1]; pictures of masks for families that paint those; or None.
            styles: Index of each picture's style.
            seeds: Seed of each picture's noise.
            whole: Show style images whole where squares of them are cut at random otherwise.
        """
        raise NotImplementedError

    def learners(self) -> dict[str, Learner]:
        """Return all that learns, by name: the network, and what learns beside it."""
        return {"network": Learner(self.network, list(self.network.parameters()))}

    def extra_loss(self, outputs_B3HW: Tensor) -> Tensor:
        """Return what is added to the mean loss of a batch because of all of its pictures together, shape ()."""
        return torch.zeros_like(outputs_B3HW[0, 0, 0, 0])

    def objective(self, outputs_B3HW: Tensor, terms: Iterable[Term]) -> Objective:
        """Return the objective with these terms and the total variation."""
        tv_weight_B = torch.full_like(outputs_B3HW[:, 0, 0, 0], self.config.tv_weight)
        return Objective(self.backbone, (*terms, tv_term(tv_weight_B)), self.config.precision)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes: bfloat16 where the precision says so."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def tensor(self, pictures: np.ndarray) -> Tensor:
        """Return BHWC uint8 pictures as RGB in [0, 1], shape (B, 3, H, W)."""
        return to_tensor(pictures, self.device, self.dtype).contiguous()

    def features(self, pictures: np.ndarray) -> dict[str, Tensor]:
        """Return the backbone's features of BHWC uint8 pictures."""
        with torch.no_grad():
            return extract(self.backbone, self.tensor(pictures), self.config.precision)


def stacked(rows: Sequence[Mapping[str, Statistics]], layers: Iterable[str]) -> dict[str, Statistics]:
    """Return the statistics of several pictures by layer, with the pictures in front."""
    return {
        layer: tuple(torch.cat(parts) for parts in zip(*(row[layer] for row in rows), strict=True)) for layer in layers
    }
