"""The styles that a network of any style is given: mixed by weight, and region by region where images have masks.

Knows no family. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

from nst.pictures.images import resize_to, style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from nst.networks import Network
    from nst.networks.network import Part, Style
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Request, Workspace


class StyleMixer:
    """Mixes the styles of requests; the workspace keeps the network's descriptions of style images for reuse.

    Args:
        network: Describes the styles.
        key: Distinguishes the descriptions of this network from those of all others.
        workspace: Holds the kept descriptions.
        tensor: Returns BHWC uint8 pictures as RGB in [0, 1], shape (B, 3, H, W).
    """

    def __init__(
        self, network: Network, key: tuple[str, ...], workspace: Workspace, tensor: Callable[[np.ndarray], Tensor]
    ) -> None:
        self.network, self.key, self.workspace, self.tensor = network, key, workspace, tensor

    def mix(self, request: Request, size: tuple[int, int], long_side: float) -> list[Part]:
        """Return the styles of a request, each with its share: a number, or of every position, shape (1, 1, H, W).

        Args:
            request: The request, with masks for all of its images or for none.
            size: Width and height of its picture in pixels.
            long_side: Long side of the style images in pixels.
        """
        mask, weights = request.content_mask, request.style_weights
        sizes = [style_size(style, long_side) for style in request.styles]
        if mask is None:
            styles = zip(request.styles, sizes, weights, strict=True)
            return [(self._describe(style, style_size), weight / sum(weights)) for style, style_size, weight in styles]
        columns, rows = (-(-side // self.network.multiple) for side in size)
        parts: list[Part] = []
        for region, labels in enumerate(match_regions(mask, request.style_masks)):
            shares_11HW = self._shares(mask, region, rows, columns)
            found = [(k, label) for k, label in enumerate(labels) if label is not None]
            total = sum(weights[k] for k, _ in found)
            for k, label in found:
                style = self._describe(request.styles[k], sizes[k], request.style_masks[k], label)
                parts.append((style, shares_11HW * (weights[k] / total)))
        return parts

    def _describe(self, style: Pixels, size: tuple[int, int], mask: Labels | None = None, label: int = 0) -> Style:
        """Return the network's description of a style image, or of one region of it, from memory if kept."""

        def compute() -> dict[str, Style]:
            picture_13HW = self.tensor(resize_to(style.array, *size)[None])
            shares = None if mask is None else partial(self._shares, mask, label)
            return {"": self.network.describe_style(picture_13HW, shares)}

        key = ("described", *self.key, style.digest, size, mask and mask.digest, label)
        return self.workspace.statistics.get(key, compute)[""]

    def _shares(self, mask: Labels, label: int, rows: int, columns: int) -> Tensor:
        return torch.from_numpy(mask.shares(label, columns, rows)).to(self.workspace.device)[None, None]
