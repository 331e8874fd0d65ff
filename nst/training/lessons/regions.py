"""The lesson of `doodle_net`: a network learns to paint each region of a mask like the same region of the style.

Shape letters: B pictures, K regions, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from nst.losses.guided import GuidedStyle, Region, region_statistics
from nst.losses.objective import Term
from nst.losses.style import STYLE_LOSSES, style_target
from nst.networks import Origin, Painting
from nst.networks.doodle_net import DoodleNet
from nst.pictures.images import resize_to, style_size
from nst.pictures.masks import rgb
from nst.training.doodles import areas, random_doodle
from nst.training.lessons.lesson import Lesson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import DoodleNetTraining, Training
    from nst.losses.objective import Objective
    from nst.training.lessons.lesson import Syllabus
    from nst.workspace import Workspace


class RegionLesson(Lesson):
    """Pictures of random masks whose regions have the Gram matrices of the style's regions.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c feedforward_neural_doodle.lua. Differs: the loss is that of the
        method `doodle`, in relative units and weighted by the areas of the regions (`nst.losses.guided`); there is a
        total variation, and no second loss at half the size.
    """

    config: DoodleNetTraining
    network: DoodleNet

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        config = self.config
        (style,), (mask,) = syllabus.styles, syllabus.masks
        self.network = DoodleNet.from_training(config, Origin(colors=mask.colors))
        self.areas_K = areas(mask)
        self.colors_K3 = torch.from_numpy(np.stack(rgb(mask.colors))).to(self.device, self.dtype) / 255.0
        self.backbone = workspace.backbone(config.backbone, frozenset(config.style_layers), self.dtype)
        array = resize_to(style.array, *style_size(style, config.size * config.style_scale))
        self.targets = {
            layer: [style_target(STYLE_LOSSES["gram"], [([gram], [1.0], "targets")]) for gram in grams]
            for layer, grams in region_statistics(self.features(array[None]), mask).items()
        }

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures that the network makes and the objective that measures them, as `Lesson` says.

        Pictures of masks may be given in place of photographs; the network then paints them instead of random masks.
        """
        del styles, whole  # there is one style, and it is never cut
        shares_BKHW = self._drawn(seeds) if photographs_B3HW is None else self._read(photographs_B3HW)
        rows, columns = shares_BKHW.shape[2:]
        with self.autocast():
            painted_B3HW = self.network.paint(Painting((rows, columns), seeds=seeds, masks=shares_BKHW))
        outputs_B3HW = painted_B3HW.to(self.dtype)
        layers = self.config.style_layers
        return outputs_B3HW, self.objective(
            outputs_B3HW, [self._term(layer, share, shares_BKHW) for layer, share in layers.items()]
        )

    def _term(self, layer: str, share: float, shares_BKHW: Tensor) -> Term:
        def loss(features_BCHW: Tensor) -> Tensor:
            grid_BKHW = functional.adaptive_avg_pool2d(shares_BKHW, (features_BCHW.shape[2], features_BCHW.shape[3]))
            regions = [Region(grid_BKHW[:, k], target) for k, target in enumerate(self.targets[layer])]
            return GuidedStyle(regions)(features_BCHW)

        weights_B = torch.full_like(shares_BKHW[:, 0, 0, 0], share * self.config.style_weight)
        return Term("style", layer, loss, "statistics", share, weights_B)

    def _drawn(self, seeds: Sequence[int]) -> Tensor:
        indices_BHW = np.stack([random_doodle(self.areas_K, self.config.size, seed) for seed in seeds])
        return self._one_hot(torch.from_numpy(indices_BHW).to(self.device, torch.long))

    def _read(self, pictures_B3HW: Tensor) -> Tensor:
        distances_BKHW = (pictures_B3HW[:, None] - self.colors_K3[:, :, None, None]).square().sum(2)
        return self._one_hot(distances_BKHW.argmin(1))

    def _one_hot(self, indices_BHW: Tensor) -> Tensor:
        return functional.one_hot(indices_BHW, len(self.areas_K)).permute(0, 3, 1, 2).to(self.dtype).contiguous()
