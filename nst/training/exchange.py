"""What AdaIN's decoder learns: to paint features whose statistics were exchanged. Of `adain`.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.backbones import VGG
from nst.losses.deviations import DEVIATIONS
from nst.losses.objective import Objective, extract
from nst.networks import build_network
from nst.networks.adain import AdainNet, moments
from nst.pictures.images import resize_to, target_size
from nst.training.lessons import as_tensor, content_terms, style_terms
from nst.training.sampler import random_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from nst.config.training import AdainTraining
    from nst.pictures.images import Pixels
    from nst.workspace import Workspace


class ExchangeLesson:
    """Pictures whose features are the exchanged ones, with the style's means and deviations at several layers.

    Args:
        config: Settings of the training.
        styles: The style images to draw from; squares are cut from them at random, as large as the photographs'.
        workspace: Backbone, which is the encoder, and device.

    Source:
        Huang & Belongie 2017, eq. 11-13. Differs: relative units (`nst.losses.units`).
    """

    def __init__(self, config: AdainTraining, styles: Sequence[Pixels], workspace: Workspace) -> None:
        self.config = config
        self.device = workspace.device
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        layers = frozenset((config.layer, *config.style_layers))
        self.backbone = workspace.backbone(config.backbone, layers, self.dtype)
        assert isinstance(self.backbone, VGG), "only these have the layers that settings may name"
        network = build_network(config, len(styles), encoder=self.backbone)
        assert isinstance(network, AdainNet)
        self.network: AdainNet = network
        side = max(16, round(config.size * config.style_scale))
        self.styles = []
        for style in styles:
            rows, columns = style.array.shape[:2]
            self.styles.append(resize_to(style.array, *target_size(columns, rows, side, "short")))
        self.crop = min(side, config.size)

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures of the network and what they are measured by; see `nst.training.lessons.Lesson`."""
        assert photographs_B3HW is not None
        config, network = self.config, self.network
        with torch.no_grad():
            each = [extract(self.backbone, self._style(style, seed, whole=whole), config.precision)
                    for style, seed in zip(styles, seeds, strict=True)]  # fmt: skip
            statistics = {
                layer: tuple(
                    torch.cat(parts) for parts in zip(*(DEVIATIONS.statistics(one[layer]) for one in each), strict=True)
                )
                for layer in config.style_layers
            }
            wanted = [moments(one[config.layer]) for one in each]
            style = torch.cat([mean for mean, _ in wanted]), torch.cat([deviation for _, deviation in wanted])
            with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
                content_BCHW = network.encode(photographs_B3HW)
            exchanged_BCHW = network.exchange(content_BCHW.to(self.dtype), style)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.precision == "bfloat16"):
            decoded_B3HW = network.decode(exchanged_BCHW)
        outputs_B3HW = decoded_B3HW.to(self.dtype)
        content = content_terms({config.layer: exchanged_BCHW}, {config.layer: 1.0}, config.content_weight)
        terms = style_terms(DEVIATIONS, statistics, config.style_layers, config.style_weight)
        tv_weight_B = torch.full_like(outputs_B3HW[:, 0, 0, 0], config.tv_weight)
        return outputs_B3HW, Objective(self.backbone, content, terms, "squared", tv_weight_B, config.precision)

    def _style(self, style: int, seed: int, *, whole: bool) -> Tensor:
        array: np.ndarray = self.styles[style]
        if not whole:
            array = random_crop(array, self.crop, seed)
        return as_tensor(array[None], self.device, self.dtype)
