"""The targets of a batch: features and statistics of its images at any size, and the terms made from them.

Knows no optimiser. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.memory import GATHERING
from nst.config.method import PixelMethod
from nst.losses.laplacian import laplacian
from nst.losses.matting import local_colors
from nst.losses.objective import arithmetic, extract
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.temporal import Before, contrast
from nst.losses.terms import content_terms, laplacian_term, photorealism_term, style_terms, temporal_term
from nst.losses.tiled import Tiled, TiledObjective
from nst.ops import dtype_of, to_tensor
from nst.pictures.color import match_colors
from nst.pictures.images import resize_to, style_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from nst.config.energies import AuthorNetwork
    from nst.config.fields import Representation
    from nst.losses.matting import LocalColors
    from nst.losses.objective import Objective, Term
    from nst.losses.style import Statistics
    from nst.losses.units import Units
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Workspace

    Size = tuple[int, int]
    """(width, height)"""


class Targets:
    """Builds the terms of a batch's objective at each level; the workspace keeps features and statistics for reuse.

    Args:
        requests: The batch.
        workspace: Holds the device, the backbone and the kept targets.
        layers: All layers that the objective looks at.

    Attributes:
        config: Settings of the first request, which all requests share outside the method's `VARIES`.
        backbone_key: Distinguishes kept targets of this backbone and precision from all others.
    """

    def __init__(self, requests: Sequence[Request], workspace: Workspace, layers: Iterable[str]) -> None:
        config = requests[0].config
        assert isinstance(config, PixelMethod), "other methods compare nothing with targets"
        self.requests = requests
        self.workspace = workspace
        self.config = config
        self.precision = config.precision
        self.dtype = dtype_of(config.precision)
        # Weights are rounded to bfloat16 here, once, and not at every step.
        weights_dtype = torch.bfloat16 if config.precision == "bfloat16" else self.dtype
        self.backbone = workspace.backbone(config.backbone, frozenset(layers), weights_dtype)
        self.backbone_key = config.backbone, config.precision

    @property
    def tiled(self) -> Tiled | None:
        """The network that sees pictures in tiles; None for one that cannot."""
        space = self.workspace
        gathers = getattr(self.config, "style_representation", None) in GATHERING
        return Tiled(self.backbone, self.precision, space.tile, space.room, gathers) if self.backbone.reach else None

    @property
    def content(self) -> Pixels:
        """The content image that all requests of the batch share."""
        content = self.requests[0].content
        assert content is not None, "requests without a content image were refused"
        return content

    def objective(self, *terms: Term) -> Objective:
        """Return the objective made of these terms, in tiles where pictures are too large for the memory."""
        return TiledObjective(self.backbone, terms, self.precision, self.tiled)

    def tensor(self, array: np.ndarray) -> Tensor:
        """Return an HWC uint8 picture in [0, 1], shape (1, 3, H, W), on the device."""
        # Contiguous, like the pictures that are optimised: convolutions round differently in another memory layout.
        return to_tensor(array[None], self.workspace.device, self.dtype).contiguous()

    def vector(self, values: Sequence[float]) -> Tensor:
        """Return one number for each image of the batch as a tensor of shape (B,) on the device."""
        return torch.tensor(values, dtype=self.dtype, device=self.workspace.device)

    def content_terms(
        self,
        layers: Mapping[str, float],
        size: Size,
        weights: Sequence[float],
        units: Units = "relative",
        author: AuthorNetwork | None = None,
    ) -> list[Term]:
        """Return a term of the content loss for every layer.

        Args:
            layers: Weight of each layer.
            size: Width and height of the picture in pixels.
            weights: Weight of the content for each image, in `units`.
            units: Units of the weights.
            author: The network whose energies convert the weights; None for those of the targets.
        """
        features = self.content_features(tuple(layers), size)
        return content_terms(features, layers, self.vector(weights), units, author=author)

    def laplacian_terms(self, pool: int, size: Size, weights: Sequence[float], units: Units = "relative") -> list[Term]:
        """Return the term of the Laplacian loss, or no term if no image gives it a weight.

        Args:
            pool: Side in pixels of the squares over which pictures are averaged before their Laplacian is taken.
            size: Width and height of the picture in pixels.
            weights: Weight of the loss for each image, in `units`.
            units: Units of the weights.
        """
        if not any(weights):
            return []
        target_1HW = laplacian(self.tensor(resize_to(self.content.array, *size)), pool)
        return [laplacian_term(target_1HW, pool, self.vector(weights), units)]

    def photorealism_terms(self, size: Size, weights: Sequence[float], units: Units = "relative") -> list[Term]:
        """Return the term of the photorealism loss, or no term if no image gives it a weight.

        Args:
            size: Width and height of the picture in pixels.
            weights: Weight of the loss for each image, in `units`.
            units: Units of the weights.
        """
        if not any(weights):
            return []

        def compute() -> LocalColors:
            array = resize_to(self.content.array, *size)
            return local_colors(to_tensor(array[None], self.workspace.device, torch.float64))

        colors = self.workspace.colors.get((self.content.digest, size), compute)
        return [photorealism_term(colors, self.vector(weights), units)]

    def temporal_terms(self, weights: Sequence[float]) -> list[Term]:
        """Return the term of the temporal loss, or no term without frames before or if no image gives it a weight.

        Args:
            weights: Weight of the loss for each image in relative units.
        """
        if not any(weights) or not self.requests[0].before:
            return []
        first = self.requests[0].before
        rows, columns = first[0].weights.shape
        content_13HW = self.tensor(resize_to(self.content.array, columns, rows))
        warped = [
            torch.from_numpy(np.stack([request.before[j].picture for request in self.requests])).permute(0, 3, 1, 2)
            for j in range(len(first))
        ]
        before = Before(
            [pictures_B3HW.to(content_13HW).contiguous() for pictures_B3HW in warped],
            [torch.from_numpy(frame.weights).to(content_13HW) for frame in first],
            contrast(content_13HW),
        )
        return [temporal_term(before, self.vector(weights))]

    def style_terms(
        self,
        layers: Mapping[str, float],
        size: Size,
        long_side: float,
        weights: Sequence[float],
        *,
        representation: Representation = "gram",
        units: Units = "relative",
        author: AuthorNetwork | None = None,
        colors_of: Size | None = None,
    ) -> list[Term]:
        """Return a term of the style loss for every layer.

        Args:
            layers: Weight of each layer.
            size: Width and height of the picture in pixels.
            long_side: Long side of the style images in pixels.
            weights: Weight of the style for each image, in `units`.
            representation: Which statistics of the features are compared.
            units: Units of the weights.
            author: The network whose energies convert the weights; None for those of the targets.
            colors_of: Size of the content whose colours the style images are given first; None to keep their colours.
        """
        loss = STYLE_LOSSES[representation]
        grids = self.backbone.grids(*size)
        positions = {layer: math.prod(grids[layer]) for layer in layers}
        styles = [
            [self._statistics(style, long_side, positions, representation, colors_of) for style in request.styles]
            for request in self.requests
        ]
        targets = {
            layer: style_target(
                loss,
                [
                    ([by_layer[layer] for by_layer in statistics], request.style_weights, request.mix)
                    for request, statistics in zip(self.requests, styles, strict=True)
                ],
            )
            for layer in layers
        }
        return style_terms(loss, targets, layers, self.vector(weights), units, author=author)

    def content_features(self, layers: tuple[str, ...], size: Size) -> dict[str, Tensor]:
        """Return the content image's features at a size by layer, shape (1, C, H, W) each, from memory if kept."""
        key = (self.content.digest, size, layers, self.backbone_key)
        return self.workspace.features.get(key, lambda: self.features(resize_to(self.content.array, *size), layers))

    def style_picture(self, style: Pixels, size: Size, colors_of: Size | None) -> np.ndarray:
        """Return a style image at a size, HWC uint8.

        Args:
            style: The style image.
            size: Width and height in pixels.
            colors_of: Size of the content whose colours the style image is given; None to keep its colours.
        """
        array = resize_to(style.array, *size)
        return match_colors(array, resize_to(self.content.array, *colors_of)) if colors_of else array

    def features(self, array: np.ndarray, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """Return the features of an HWC uint8 picture by layer, shape (1, C, H, W) each."""
        image_13HW, tiled = self.tensor(array), self.tiled
        with torch.no_grad():
            if tiled and tiled.side_for(image_13HW.shape):
                return tiled.observe(image_13HW, layers)[0]
            features = extract(self.backbone, image_13HW, self.precision)
        return {layer: features[layer] for layer in layers}

    def _statistics(
        self,
        style: Pixels,
        long_side: float,
        positions: Mapping[str, int],
        representation: Representation,
        colors_of: Size | None,
    ) -> dict[str, Statistics]:
        """Return a style image's statistics by layer, for pictures of so many positions there, from memory if kept."""
        size, layers, loss = style_size(style, long_side), tuple(positions), STYLE_LOSSES[representation]
        matched = self.content.digest if colors_of else None
        fitted = tuple(positions.values()) if loss.fit else None
        key = (style.digest, size, layers, representation, matched, fitted, self.backbone_key)

        def compute() -> dict[str, Statistics]:
            array, tiled = self.style_picture(style, size, colors_of), self.tiled
            image_13HW = self.tensor(array)
            if loss.are_means and tiled and tiled.side_for(image_13HW.shape):
                with arithmetic(self.precision, self.workspace.device):
                    return tiled.observe(image_13HW, (), {layer: (layer, loss.statistics) for layer in layers})[1]
            features = self.features(array, layers)
            with torch.no_grad(), arithmetic(self.precision, self.workspace.device):
                found = {layer: loss.statistics(features[layer]) for layer in layers}
                return {layer: loss.fit(found[layer], positions[layer]) for layer in layers} if loss.fit else found

        return self.workspace.statistics.get(key, compute)
