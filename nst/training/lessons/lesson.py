"""The base of every lesson, which makes pictures with a network in training and says their losses. Knows no family.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from nst.losses.objective import Objective, extract
from nst.losses.terms import tv_term
from nst.ops import dtype_of, to_tensor
from nst.pictures.images import resize_to, target_size
from nst.training.fake_motion import moved, noisy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    from torch import Tensor, nn

    from nst.backbones import Backbone
    from nst.config.training import Training
    from nst.losses.objective import Losses, Term
    from nst.losses.style import Statistics
    from nst.networks import Network
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.training.sampler import Sampler
    from nst.workspace import Workspace


@dataclass(frozen=True, slots=True, eq=False)
class Syllabus:
    """The styles that a network learns.

    Attributes:
        styles: The style images.
        rows: For each style image, the row of its parameters in a network that knows many styles.
        rows_known: Number of rows of that network, those of a parent's styles included.
        masks: The masks of the style images, for families that paint masks.
    """

    styles: Sequence[Pixels]
    rows: Sequence[int]
    rows_known: int
    masks: Sequence[Labels] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A module in training.

    Attributes:
        module: The module, kept whole in checkpoints.
        parameters: Those of its parameters that the optimiser changes.
        rate: Factor on the learning rate of the training.
    """

    module: nn.Module
    parameters: Sequence[Tensor]
    rate: float = 1.0


class Lesson:
    """What a network learns from. The lesson of a family makes the pictures and says the terms of their loss.

    Args:
        config: Settings of the training.
        syllabus: The styles that the network learns.
        workspace: Holds the device and the backbones.

    Attributes:
        network: The network in training.
        backbone: The backbone that measures its pictures.
        undecided: Adversarial part of the loss, weighted, while the critic cannot tell real patches from painted ones;
            0 without a critic.
    """

    config: Training
    network: Network
    backbone: Backbone

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        del syllabus  # the lesson of a family keeps what it needs
        self.config = config
        self.device = workspace.device
        self.dtype = dtype_of(config.precision)
        self.undecided = 0.0

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Callable[[Tensor], Losses]]:
        """Return pictures that the network makes, shape (B, 3, H, W), and the objective that measures them.

        Args:
            photographs_B3HW: RGB in [0, 1]: photographs, or pictures of masks for a family that paints masks; None for
                pictures from noise or random masks.
            styles: Index of the style of each picture.
            seeds: Seed of the noise and of the random crops of each picture.
            whole: Whether a lesson that cuts random squares from the style images takes them whole instead.
        """
        raise NotImplementedError

    def begin(self, sampler: Sampler) -> None:
        """Compute the first weights of the network from what it will learn from.

        Called once, before the first step of a training that begins without a parent and is not resumed. By default the
        weights stay as they were drawn.

        Args:
            sampler: The batches of the training.
        """

    def learners(self) -> dict[str, Learner]:
        """Return the modules that learn, by name: the network, and a critic if there is one."""
        return {"network": Learner(self.network, list(self.network.parameters()))}

    def extra_loss(self, outputs_B3HW: Tensor) -> Tensor:
        """Return a loss of all pictures of a batch together, added to the mean of their own losses; shape ()."""
        return torch.zeros_like(outputs_B3HW[0, 0, 0, 0])

    def temporal_loss(
        self, outputs_B3HW: Tensor, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int]
    ) -> Tensor:
        """Return the weighted temporal loss of a batch (`nst.training.fake_motion`), shape ().

        Args:
            outputs_B3HW: What the network made of the photographs.
            photographs_B3HW: The photographs; None for pictures from noise or masks alone, which have no such loss.
            styles: Index of the style of each picture.
            seeds: Seed of each picture, of its motion as well.
        """
        weight = getattr(self.config, "temporal_weight", 0.0)
        if not weight or photographs_B3HW is None:
            return torch.zeros_like(outputs_B3HW[0, 0, 0, 0])
        again_B3HW, _ = self(noisy(moved(photographs_B3HW, seeds), seeds), styles, seeds)
        gap_B3HW = again_B3HW - moved(outputs_B3HW, seeds)
        return weight * gap_B3HW.abs().mean()

    def finish(self, picture: np.ndarray, photograph: np.ndarray) -> np.ndarray:
        """Return a validation picture as users of the network get it; by default as the network made it.

        Args:
            picture: What the network made, HWC uint8.
            photograph: What it was made of, HWC uint8, as `Trainer.validate` is given it.
        """
        del photograph
        return picture

    def measure(self, picture: np.ndarray, photograph: np.ndarray) -> dict[str, float]:
        """Return measures of a finished validation picture that only this family has, by name.

        Args:
            picture: The finished picture, HWC uint8.
            photograph: What it was made of, HWC uint8.
        """
        del picture, photograph
        return {}

    def sample(self, photographs: Sequence[Tensor | None]) -> dict[str, float]:
        """Return measures of many pictures of each photograph that only this family has, by name.

        Args:
            photographs: The validation photographs, RGB in [0, 1], shape (1, 3, H, W) each; None in place of each for
                pictures from noise alone.
        """
        del photographs
        return {}

    def objective(self, outputs_B3HW: Tensor, terms: Iterable[Term]) -> Objective:
        """Return the objective made of these terms and the total variation of the pictures."""
        tv_weight_B = torch.full_like(outputs_B3HW[:, 0, 0, 0], self.config.tv_weight)
        return Objective(self.backbone, (*terms, tv_term(tv_weight_B)), self.config.precision)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes: in bfloat16 with that precision, else unchanged."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def tensor(self, pictures: np.ndarray) -> Tensor:
        """Return BHWC uint8 pictures as RGB in [0, 1], shape (B, 3, H, W), on the device."""
        return to_tensor(pictures, self.device, self.dtype).contiguous()

    def features(self, pictures: np.ndarray) -> dict[str, Tensor]:
        """Return the backbone's features of BHWC uint8 pictures by layer, shape (B, C, H, W) each."""
        with torch.no_grad():
            return extract(self.backbone, self.tensor(pictures), self.config.precision)


def scaled_short(style: Pixels, side: int) -> np.ndarray:
    """Return a style image whose short side has `side` pixels, HWC uint8."""
    rows, columns = style.array.shape[:2]
    return resize_to(style.array, *target_size(columns, rows, side, "short"))


def stacked(rows: Sequence[Mapping[str, Statistics]], layers: Iterable[str]) -> dict[str, Statistics]:
    """Return the statistics of several pictures by layer, joined along their first dimension.

    Args:
        rows: For each picture, its statistics by layer.
        layers: The layers to return.
    """
    return {
        layer: tuple(torch.cat(parts) for parts in zip(*(row[layer] for row in rows), strict=True)) for layer in layers
    }
