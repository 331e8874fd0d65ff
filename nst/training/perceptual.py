"""Perceptual losses: a photograph's content and a style's Gram matrices. Of `johnson`, `conditional`, `texture_net`.

Shape letters: B pictures, C channels, H rows, W columns, S styles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.losses.objective import Objective, extract
from nst.losses.style import STYLE_LOSSES
from nst.networks import build_network
from nst.networks.conditional import ConditionalNet
from nst.networks.texture_net import TextureNet
from nst.pictures.images import resize_to, style_size
from nst.training.lessons import as_tensor, content_terms, style_terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import ConditionalTraining, JohnsonTraining, TextureNetTraining
    from nst.losses.style import Statistics
    from nst.pictures.images import Pixels
    from nst.workspace import Workspace

GRAM = STYLE_LOSSES["gram"]


class PerceptualLesson:
    """Pictures that keep a photograph's features and have a style's Gram matrices.

    Args:
        config: Settings of the training.
        styles: The style images to learn.
        rows: The row of each of them in the norms of a `conditional` network.
        total: How many rows that network has.
        workspace: Backbone and device.

    Source:
        Johnson, Alahi & Fei-Fei 2016, eq. 5; Dumoulin, Shlens & Kudlur 2017, eq. 1-4; Ulyanov et al. 2016, eq. 5-8.
        Differs: relative units (`nst.losses.units`).
    """

    def __init__(
        self,
        config: JohnsonTraining | ConditionalTraining | TextureNetTraining,
        styles: Sequence[Pixels],
        rows: Sequence[int],
        total: int,
        workspace: Workspace,
    ) -> None:
        self.config, self.rows = config, rows
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        self.network = build_network(config, total)
        content = frozenset(config.content_layers) if config.photographs else frozenset()
        self.backbone = workspace.backbone(config.backbone, content.union(config.style_layers), self.dtype)
        # Photographs are seen no deeper than their content is wanted.
        self.content_backbone = workspace.backbone(config.backbone, content, self.dtype) if content else self.backbone
        self.statistics = self._style_statistics(styles, workspace.device)

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures of the network and what they are measured by; see `nst.training.lessons.Lesson`."""
        del whole  # Gram matrices are always those of the whole style
        config = self.config
        outputs_B3HW = self._pictures(photographs_B3HW, styles, seeds)
        content = {}
        if photographs_B3HW is not None:
            with torch.no_grad():
                features = extract(self.content_backbone, photographs_B3HW, config.precision)
            content = content_terms(features, config.content_layers, config.content_weight)
        chosen = {layer: tuple(part[list(styles)] for part in parts) for layer, parts in self.statistics.items()}
        style = style_terms(GRAM, chosen, config.style_layers, config.style_weight)
        tv_weight_B = torch.full_like(outputs_B3HW[:, 0, 0, 0], config.tv_weight)
        return outputs_B3HW, Objective(self.backbone, content, style, "squared", tv_weight_B, config.precision)

    def _pictures(self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int]) -> Tensor:
        network = self.network
        device = self.backbone.mean.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            if isinstance(network, TextureNet):
                side = self.config.size
                height, width = (side, side) if photographs_B3HW is None else photographs_B3HW.shape[2:]
                outputs_B3HW = network(network.draw(height, width, seeds), photographs_B3HW)
            elif isinstance(network, ConditionalNet):
                outputs_B3HW = network(photographs_B3HW, network.rows([{self.rows[style]: 1.0} for style in styles]))
            else:
                outputs_B3HW = network(photographs_B3HW)
        wide_B3HW: Tensor = outputs_B3HW.to(self.dtype)
        return wide_B3HW

    def _style_statistics(self, styles: Sequence[Pixels], device: torch.device) -> dict[str, Statistics]:
        """Return the Gram matrices of every layer, of all styles, shape (S, C, C)."""
        config = self.config
        of_all = []
        for style in styles:
            array = resize_to(style.array, *style_size(style, config.size * config.style_scale))
            with torch.no_grad():
                features = extract(self.backbone, as_tensor(array[None], device, self.dtype), config.precision)
            of_all.append({layer: GRAM.statistics(features[layer]) for layer in config.style_layers})
        return {
            layer: tuple(torch.cat(parts) for parts in zip(*(of_one[layer] for of_one in of_all), strict=True))
            for layer in config.style_layers
        }
