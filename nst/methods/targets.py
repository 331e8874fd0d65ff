"""What a batch aims at: targets of its content and styles at any size, and the weights that its units give them.

Knows no optimiser. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.color import match_colors
from nst.images import resize_to
from nst.losses.content import content_energy
from nst.losses.objective import ContentTarget, Objective, arithmetic, extract
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.units import content_factor, style_factor, tv_factor
from nst.methods.start import style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.gatys import GatysConfig
    from nst.losses.style import Statistics
    from nst.workspace import Pixels, Request, Workspace

ENERGY_FLOOR = 1e-12
"""Smallest energy that a loss is divided by: a target without any (a picture of exactly zero features)."""


class Targets:
    """Builds the objective of a batch at each level, remembering targets in the workspace.

    Args:
        requests: The batch.
        workspace: Backbone, device and memory.
    """

    def __init__(self, requests: Sequence[Request], workspace: Workspace) -> None:
        self.requests = requests
        self.workspace = workspace
        self.config: GatysConfig = requests[0].config
        self.dtype = torch.float64 if self.config.precision == "float64" else torch.float32
        self.layers = frozenset(self.config.content_layers) | frozenset(self.config.style_layers)
        self.backbone = workspace.backbone(self.config.backbone, self.layers, self.dtype)
        content = requests[0].content
        assert content is not None, "refused before"
        self.content = content

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an HWC uint8 picture as a batch of one in [0, 1], on the device."""
        image = torch.from_numpy(np.ascontiguousarray(array)).to(self.workspace.device)
        return image.permute(2, 0, 1)[None].to(self.dtype).div(255.0)

    def objective(self, width: int, height: int) -> Objective:
        """Return what the batch is measured by at this size."""
        config, configs = self.config, [one.config for one in self.requests]
        content_weight_B = self._vector([one.content_weight for one in configs])
        style_weight_B = self._vector([one.style_weight for one in configs])
        tv_weight_B = self._vector([one.tv_weight for one in configs])
        features = self.content_features(width, height)
        styles = [[self.statistics(style, width, height) for style in one.styles] for one in self.requests]
        loss = STYLE_LOSSES[config.style_representation]
        content, style, content_weights, style_weights = {}, {}, {}, {}
        for layer, weight in config.content_layers.items():
            feature_1CHW = features[layer]
            energy = content_energy(feature_1CHW)[0].clamp_min(ENERGY_FLOOR)
            content[layer] = ContentTarget(feature_1CHW, energy)
            _, channels, rows, columns = feature_1CHW.shape
            factor = content_factor(config.units, energy, channels, rows * columns)
            content_weights[layer] = weight * factor * content_weight_B
        for layer, weight in config.style_layers.items():
            cells = [
                ([statistics[layer] for statistics in of_one], one.style_weights, one.mix)
                for one, of_one in zip(self.requests, styles, strict=True)
            ]
            style[layer] = style_target(loss, cells, ENERGY_FLOOR)
            channels = cells[0][0][0][-1].shape[-1]
            factor_B = style_factor(config.units, config.style_representation, style[layer].energy, channels)
            style_weights[layer] = weight * factor_B * style_weight_B
        return Objective(
            self.backbone, content, style, config.style_representation, config.tv, content_weights, style_weights,
            tv_weight_B * tv_factor(config.units, config.tv, 3 * width * height), config.precision,
        )  # fmt: skip

    def content_features(self, width: int, height: int) -> dict[str, Tensor]:
        """Return the content image's features at this size, from memory if they are there."""
        layers = tuple(self.config.content_layers)
        key = (self.content.digest, width, height, layers, self._backbone_key())
        return self.workspace.features.get(
            key, lambda: self._features(resize_to(self.content.array, width, height), layers)
        )

    def statistics(self, style: Pixels, width: int, height: int) -> dict[str, Statistics]:
        """Return a style image's statistics for a content of this size, from memory if they are there."""
        config = self.config
        layers = tuple(config.style_layers)
        size = style_size(style, max(width, height) * config.style_scale)
        matched = self.content.digest if config.color == "histogram" else None
        key = (style.digest, size, layers, config.style_representation, matched, self._backbone_key())

        def compute() -> dict[str, Statistics]:
            array = resize_to(style.array, *size)
            if matched is not None:
                array = match_colors(array, resize_to(self.content.array, width, height))
            features = self._features(array, layers)
            with torch.no_grad(), arithmetic(config.precision, self.workspace.device):
                return {
                    layer: STYLE_LOSSES[config.style_representation].statistics(features[layer]) for layer in layers
                }

        return self.workspace.statistics.get(key, compute)

    def _vector(self, values: list[float]) -> Tensor:
        return torch.tensor(values, dtype=self.dtype, device=self.workspace.device)

    def _features(self, array: np.ndarray, layers: tuple[str, ...]) -> dict[str, Tensor]:
        with torch.no_grad():
            features = extract(self.backbone, self.tensor(array), self.config.precision)
        return {layer: features[layer] for layer in layers}

    def _backbone_key(self) -> tuple[object, ...]:
        return self.config.backbone, self.config.precision
