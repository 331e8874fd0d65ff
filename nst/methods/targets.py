"""What a batch aims at: its images' features and statistics at any size, remembered, and the losses against them.

Knows no optimiser. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.losses.content import content_energy, content_loss
from nst.losses.laplacian import laplacian, laplacian_energy, laplacian_loss
from nst.losses.objective import Term, arithmetic, extract
from nst.losses.style import ENERGY_FLOOR, STYLE_LOSSES, style_loss, style_target
from nst.losses.units import content_factor, laplacian_factor, style_factor
from nst.pictures.color import match_colors
from nst.pictures.images import resize_to, style_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from nst.config.fields import Representation
    from nst.losses.style import Statistics
    from nst.losses.units import Units
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Workspace

    Size = tuple[int, int]
    """(width, height)"""


class Targets:
    """Builds the terms of a batch's objective at each level, remembering targets in the workspace.

    Args:
        requests: The batch.
        workspace: Backbone, device and memory.
        layers: All layers that the objective looks at.
    """

    def __init__(self, requests: Sequence[Request], workspace: Workspace, layers: Iterable[str]) -> None:
        config = requests[0].config
        assert config.name != "feedforward"  # that method compares nothing with targets
        self.requests = requests
        self.workspace = workspace
        self.precision = config.precision
        self.dtype = torch.float64 if config.precision == "float64" else torch.float32
        self.backbone = workspace.backbone(config.backbone, frozenset(layers), self.dtype)
        self.backbone_key = config.backbone, config.precision

    @property
    def content(self) -> Pixels:
        """The content image of the batch."""
        content = self.requests[0].content
        assert content is not None, "refused before"
        return content

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an HWC uint8 picture as a batch of one in [0, 1], on the device."""
        image = torch.from_numpy(np.ascontiguousarray(array)).to(self.workspace.device)
        return image.permute(2, 0, 1)[None].to(self.dtype).div(255.0)

    def vector(self, values: Sequence[float]) -> Tensor:
        """Return one number per image of the batch, shape (B,), on the device."""
        return torch.tensor(values, dtype=self.dtype, device=self.workspace.device)

    def content_terms(
        self, layers: Mapping[str, float], size: Size, weights: Sequence[float], units: Units = "relative"
    ) -> dict[str, Term]:
        """Return the content loss of every layer.

        Args:
            layers: Their weights.
            size: Of the picture.
            weights: Per image, the weight of the content, in `units`.
            units: Of the weights.
        """
        features = self.content_features(tuple(layers), size)
        weights_B = self.vector(weights)
        terms = {}
        for layer, share in layers.items():
            feature_1CHW = features[layer]
            energy = content_energy(feature_1CHW)[0].clamp_min(ENERGY_FLOOR)
            _, channels, rows, columns = feature_1CHW.shape
            factor = content_factor(units, energy, channels, rows * columns)
            loss = partial(content_loss, target_1CHW=feature_1CHW, energy=energy)
            terms[layer] = Term(loss, share, share * factor * weights_B)
        return terms

    def laplacian_term(self, pool: int, size: Size, weights: Sequence[float], units: Units = "relative") -> Term | None:
        """Return the loss of the content's edges, None where no image has a weight for it; as `content_terms`."""
        if not any(weights):
            return None
        target_1HW = laplacian(self.tensor(resize_to(self.content.array, *size)), pool)
        energy = laplacian_energy(target_1HW)[0]
        loss = partial(laplacian_loss, pool=pool, target_BHW=target_1HW, energy=energy)
        return Term(loss, 1.0, laplacian_factor(units, energy) * self.vector(weights))

    def style_terms(
        self,
        layers: Mapping[str, float],
        long_side: float,
        weights: Sequence[float],
        *,
        representation: Representation = "gram",
        units: Units = "relative",
        colors_of: Size | None = None,
    ) -> dict[str, Term]:
        """Return the style loss of every layer.

        Args:
            layers: Their weights.
            long_side: Of the style images, in pixels.
            weights: Per image, the weight of the style, in `units`.
            representation: What of the features is compared.
            units: Of the weights.
            colors_of: Give the styles the colours of the content at this size first.
        """
        loss = STYLE_LOSSES[representation]
        styles = [
            [self._statistics(style, long_side, tuple(layers), representation, colors_of) for style in one.styles]
            for one in self.requests
        ]
        weights_B = self.vector(weights)
        terms = {}
        for layer, share in layers.items():
            cells = [
                ([statistics[layer] for statistics in of_one], one.style_weights, one.mix)
                for one, of_one in zip(self.requests, styles, strict=True)
            ]
            target = style_target(loss, cells, ENERGY_FLOOR)
            channels = cells[0][0][0][-1].shape[-1]
            factor_B = style_factor(units, representation, target.energy, channels)
            terms[layer] = Term(partial(style_loss, loss, target=target), share, share * factor_B * weights_B)
        return terms

    def content_features(self, layers: tuple[str, ...], size: Size) -> dict[str, Tensor]:
        """Return the content image's features at this size, from memory if they are there."""
        key = (self.content.digest, size, layers, self.backbone_key)
        return self.workspace.features.get(key, lambda: self.features(resize_to(self.content.array, *size), layers))

    def style_picture(self, style: Pixels, size: Size, colors_of: Size | None) -> np.ndarray:
        """Return a style image at a size, with the colours of the content at the size `colors_of` if there is one."""
        array = resize_to(style.array, *size)
        return match_colors(array, resize_to(self.content.array, *colors_of)) if colors_of else array

    def features(self, array: np.ndarray, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """Return the features of an HWC uint8 picture, shape (1, C, H, W) each."""
        with torch.no_grad():
            features = extract(self.backbone, self.tensor(array), self.precision)
        return {layer: features[layer] for layer in layers}

    def _statistics(
        self,
        style: Pixels,
        long_side: float,
        layers: tuple[str, ...],
        representation: Representation,
        colors_of: Size | None,
    ) -> dict[str, Statistics]:
        """Return a style image's statistics, from memory if they are there."""
        size = style_size(style, long_side)
        matched = self.content.digest if colors_of else None
        key = (style.digest, size, layers, representation, matched, self.backbone_key)

        def compute() -> dict[str, Statistics]:
            features = self.features(self.style_picture(style, size, colors_of), layers)
            with torch.no_grad(), arithmetic(self.precision, self.workspace.device):
                return {layer: STYLE_LOSSES[representation].statistics(features[layer]) for layer in layers}

        return self.workspace.statistics.get(key, compute)
