"""The lessons of `johnson`, `conditional` and `texture_net`: a photograph's content and a style's Gram matrices.

Shape letters: B pictures, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

import torch

from nst.losses.diversity import diversity_loss, entropy
from nst.losses.objective import extract
from nst.losses.style import STYLE_LOSSES, batch_target
from nst.losses.terms import content_terms, style_terms
from nst.networks import Origin, Painting, build_network
from nst.pictures.images import resize_to, style_size
from nst.training.lessons.lesson import Learner, Lesson, stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import ConditionalTraining, JohnsonTraining, TextureNetTraining, Training
    from nst.losses.objective import Objective
    from nst.losses.style import Statistics
    from nst.networks.conditional import ConditionalNet
    from nst.pictures.images import Pixels
    from nst.training.lessons.lesson import Syllabus
    from nst.workspace import Workspace

GRAM = STYLE_LOSSES["gram"]

SAMPLES: Final = 4
"""Number of pictures of one photograph from which the entropy of a generator is estimated."""


class PerceptualLesson(Lesson):
    """Pictures that keep a photograph's features and have a style's Gram matrices.

    Source:
        Johnson, Alahi & Fei-Fei 2016, eq. 5; Dumoulin, Shlens & Kudlur 2017, eq. 1-4; Ulyanov et al. 2016, eq. 5-8.
        Differs: relative units (`nst.losses.units`).
    """

    config: JohnsonTraining | ConditionalTraining | TextureNetTraining

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        config = self.config
        self.rows = syllabus.rows
        self.network = build_network(config, Origin(syllabus.rows_known))
        content = frozenset(config.content_layers) if config.photographs else frozenset()
        self.backbone = workspace.backbone(config.backbone, content.union(config.style_layers), self.dtype)
        # Photographs pass no deeper into the backbone than the content loss looks.
        self.content_backbone = workspace.backbone(config.backbone, content, self.dtype) if content else self.backbone
        self.statistics = stacked([self._statistics(style) for style in syllabus.styles], config.style_layers)

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures that the network makes and the objective that measures them, as `Lesson` says."""
        del whole  # the Gram matrices always are those of whole style images
        config = self.config
        outputs_B3HW = self._paint(photographs_B3HW, styles, seeds)
        ones_B = torch.ones_like(outputs_B3HW[:, 0, 0, 0], dtype=torch.float64)
        terms = []
        if photographs_B3HW is not None:
            with torch.no_grad():
                features = extract(self.content_backbone, photographs_B3HW, config.precision)
            terms = content_terms(features, config.content_layers, config.content_weight * ones_B)
        targets = {
            layer: batch_target(GRAM, tuple(part[list(styles)] for part in parts))
            for layer, parts in self.statistics.items()
        }
        terms += style_terms(GRAM, targets, config.style_layers, config.style_weight * ones_B)
        return outputs_B3HW, self.objective(outputs_B3HW, terms)

    def _paint(self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int]) -> Tensor:
        side = self.config.size
        rows, columns = (side, side) if photographs_B3HW is None else photographs_B3HW.shape[2:]
        painting = Painting(
            (rows, columns), photographs_B3HW, seeds, rows=[{self.rows[style]: 1.0} for style in styles]
        )
        with self.autocast():
            outputs_B3HW = self.network.paint(painting)
        return outputs_B3HW.to(self.dtype)

    def _statistics(self, style: Pixels) -> dict[str, Statistics]:
        """Return the Gram matrices of a style image by layer."""
        config = self.config
        array = resize_to(style.array, *style_size(style, config.size * config.style_scale))
        features = self.features(array[None])
        return {layer: GRAM.statistics(features[layer]) for layer in config.style_layers}


class RowLesson(PerceptualLesson):
    """The perceptual lesson for a network with a row of norm parameters per style; only the rows may be learned."""

    config: ConditionalTraining
    network: ConditionalNet

    def learners(self) -> dict[str, Learner]:
        """Return the network with the parameters that change: all of them, or only the rows of its styles."""
        chosen = self.network.row_parameters() if self.config.only_rows else list(self.network.parameters())
        return {"network": Learner(self.network, chosen)}


class DiverseLesson(PerceptualLesson):
    """The perceptual lesson for a generator whose pictures of different noise should differ."""

    config: TextureNetTraining

    def extra_loss(self, outputs_B3HW: Tensor) -> Tensor:
        """Return the diversity term times its weight."""
        config = self.config
        if not config.entropy_weight:
            return super().extra_loss(outputs_B3HW)
        return config.entropy_weight * diversity_loss(outputs_B3HW, config.views if config.photographs else None)

    def sample(self, photographs: Sequence[Tensor | None]) -> dict[str, float]:
        """Return the entropy of the pictures of each photograph, or of noise alone, and its standard error.

        Of every photograph `SAMPLES` pictures are made of as much different noise. The entropy is the mean over the
        photographs, the standard error that of this mean.
        """
        found = []
        for number, photograph_13HW in enumerate(photographs):
            copies_B3HW = None if photograph_13HW is None else photograph_13HW.expand(SAMPLES, -1, -1, -1)
            seeds = range(number * SAMPLES, (number + 1) * SAMPLES)
            found.append(entropy(self._paint(copies_B3HW, [0] * SAMPLES, seeds)).item())
        error = {"entropy_error": stdev(found) / math.sqrt(len(found))} if len(found) > 1 else {}
        return {"entropy": fmean(found), **error} if found else {}
