"""The lesson of `adain`: a decoder learns to paint features whose statistics were exchanged.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.losses.deviations import DEVIATIONS
from nst.losses.objective import extract
from nst.losses.style import batch_target
from nst.losses.terms import content_terms, style_terms
from nst.networks import Origin
from nst.networks.adain import AdainNet, moments
from nst.training.lessons.lesson import Lesson, scaled_short, stacked
from nst.training.sampler import random_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import AdainTraining, Training
    from nst.losses.objective import Objective
    from nst.training.lessons.lesson import Syllabus
    from nst.workspace import Workspace


class ExchangeLesson(Lesson):
    """Pictures with the exchanged features at one layer, and the style's means and deviations at several layers.

    Squares as large as those of the photographs are cut from the style images at random.

    Source:
        Huang & Belongie 2017, eq. 11-13. Differs: relative units (`nst.losses.units`).
    """

    config: AdainTraining
    network: AdainNet

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        config = self.config
        layers = frozenset((config.layer, *config.style_layers))
        self.backbone = workspace.backbone(config.backbone, layers, self.dtype)
        self.network = AdainNet.from_training(config, Origin(len(syllabus.styles), self.backbone))
        side = max(16, round(config.size * config.style_scale))
        self.styles = [scaled_short(style, side) for style in syllabus.styles]
        self.crop = min(side, config.size)

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures that the network makes and the objective that measures them, as `Lesson` says."""
        assert photographs_B3HW is not None
        config, network = self.config, self.network
        with torch.no_grad():
            squares = [
                self.styles[style] if whole else random_crop(self.styles[style], self.crop, seed)
                for style, seed in zip(styles, seeds, strict=True)
            ]
            features = [extract(self.backbone, self.tensor(square[None]), config.precision) for square in squares]
            statistics = stacked(
                [{layer: DEVIATIONS.statistics(maps[layer]) for layer in config.style_layers} for maps in features],
                config.style_layers,
            )
            means, deviations = zip(*(moments(maps[config.layer]) for maps in features), strict=True)
            style = torch.cat(means), torch.cat(deviations)
            with self.autocast():
                content_BCHW = network.encode(photographs_B3HW)
            exchanged_BCHW = network.exchange(content_BCHW.to(self.dtype), style)
        with self.autocast():
            decoded_B3HW = network.decode(exchanged_BCHW)
        outputs_B3HW = decoded_B3HW.to(self.dtype)
        ones_B = torch.ones_like(outputs_B3HW[:, 0, 0, 0], dtype=torch.float64)
        targets = {layer: batch_target(DEVIATIONS, parts) for layer, parts in statistics.items()}
        terms = [
            *content_terms({config.layer: exchanged_BCHW}, {config.layer: 1.0}, config.content_weight * ones_B),
            *style_terms(DEVIATIONS, targets, config.style_layers, config.style_weight * ones_B),
        ]
        return outputs_B3HW, self.objective(outputs_B3HW, terms)
