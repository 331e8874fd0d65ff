"""What a network of feed-forward doodles learns: to paint each region of a mask like the style's. Of `doodle_net`.

Shape letters: B pictures, K regions, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from nst.losses.guided import GuidedStyle, Region, region_grams
from nst.losses.objective import Objective, Term, extract
from nst.losses.style import ENERGY_FLOOR, STYLE_LOSSES, style_target
from nst.networks import build_network
from nst.networks.doodle_net import DoodleNet
from nst.pictures.images import resize_to, style_size
from nst.pictures.masks import rgb
from nst.training.doodles import areas, random_doodle
from nst.training.lessons import as_tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import DoodleNetTraining
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Workspace


class RegionLesson:
    """Pictures of random masks whose regions have the Gram matrices of the style's regions.

    Args:
        config: Settings of the training.
        style: The style image.
        mask: Its regions.
        workspace: Backbone and device.

    Source:
        DmitryUlyanov/online-neural-doodle@9758d9c feedforward_neural_doodle.lua. Differs: the loss of `doodle`, in
        relative units and by the areas of regions (`nst.losses.guided`); total variation; no second loss at half the
        size.
    """

    def __init__(self, config: DoodleNetTraining, style: Pixels, mask: Labels, workspace: Workspace) -> None:
        self.config = config
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        self.device = workspace.device
        network = build_network(config, colors=mask.colors)
        assert isinstance(network, DoodleNet)
        self.network: DoodleNet = network
        self.areas_K = areas(mask)
        self.colors_K3 = torch.from_numpy(np.stack(rgb(mask.colors))).to(self.device, self.dtype) / 255.0
        self.backbone = workspace.backbone(config.backbone, frozenset(config.style_layers), self.dtype)
        array = resize_to(style.array, *style_size(style, config.size * config.style_scale))
        with torch.no_grad():
            features = extract(self.backbone, as_tensor(array[None], self.device, self.dtype), config.precision)
        self.targets = {
            layer: [style_target(STYLE_LOSSES["gram"], [([(gram,)], [1.0], "targets")], ENERGY_FLOOR) for gram in grams]
            for layer, grams in region_grams(features, mask).items()
        }

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures of the network and what they are measured by; see `nst.training.lessons.Lesson`.

        Pictures of masks may be given in place of photographs, to be painted instead of random ones.
        """
        del styles, whole  # there is one style
        config, network = self.config, self.network
        shares_BKHW = self._drawn(seeds) if photographs_B3HW is None else self._read(photographs_B3HW)
        height, width = shares_BKHW.shape[2:]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            outputs_B3HW = network(network.draw(height, width, seeds), shares_BKHW).to(self.dtype)
        terms = {layer: self._term(layer, share, shares_BKHW) for layer, share in config.style_layers.items()}
        tv_weight_B = torch.full_like(outputs_B3HW[:, 0, 0, 0], config.tv_weight)
        return outputs_B3HW, Objective(self.backbone, {}, terms, "squared", tv_weight_B, config.precision)

    def _term(self, layer: str, share: float, shares_BKHW: Tensor) -> Term:
        def loss(features_BCHW: Tensor) -> Tensor:
            grid_BKHW = functional.adaptive_avg_pool2d(shares_BKHW, (features_BCHW.shape[2], features_BCHW.shape[3]))
            regions = [Region(grid_BKHW[:, k], target) for k, target in enumerate(self.targets[layer])]
            return GuidedStyle(regions)(features_BCHW)

        return Term(loss, share, torch.full_like(shares_BKHW[:, 0, 0, 0], share * self.config.style_weight))

    def _drawn(self, seeds: Sequence[int]) -> Tensor:
        indices_BHW = np.stack([random_doodle(self.areas_K, self.config.size, seed) for seed in seeds])
        return self._one_hot(torch.from_numpy(indices_BHW).to(self.device, torch.long))

    def _read(self, pictures_B3HW: Tensor) -> Tensor:
        distances_BKHW = (pictures_B3HW[:, None] - self.colors_K3[:, :, None, None]).square().sum(2)
        return self._one_hot(distances_BKHW.argmin(1))

    def _one_hot(self, indices_BHW: Tensor) -> Tensor:
        return functional.one_hot(indices_BHW, len(self.areas_K)).permute(0, 3, 1, 2).to(self.dtype).contiguous()
