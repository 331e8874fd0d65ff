"""Which statistics AdaIN gives a picture: its styles' by weight, region by region where there are masks.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.networks.adain import moments
from nst.pictures.images import resize_to, style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from torch import Tensor

    from nst.networks.adain import AdainNet, Moments, Part
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Request, Workspace


class Exchange:
    """What an AdaIN network mixes for requests, the statistics of styles kept warm.

    Args:
        network: Encodes the styles.
        key: What tells the network's features from others'.
        workspace: Keeps the statistics.
        tensor: Returns BHWC uint8 pictures as RGB in [0, 1], shape (B, 3, H, W).
    """

    def __init__(
        self, network: AdainNet, key: tuple[str, ...], workspace: Workspace, tensor: Callable[[np.ndarray], Tensor]
    ) -> None:
        self.network, self.key, self.workspace, self.tensor = network, key, workspace, tensor

    def parts(self, request: Request, size: tuple[int, int], long_side: float) -> list[Part]:
        """Return the styles of a request and their shares.

        Args:
            request: With masks for all of its images or for none.
            size: Width and height of its picture.
            long_side: Of the style images, in pixels.
        """
        mask, weights = request.content_mask, request.style_weights
        sizes = [style_size(style, long_side) for style in request.styles]
        if mask is None:
            styles = zip(request.styles, sizes, weights, strict=True)
            return [(self._moments(style, of_style), weight / sum(weights)) for style, of_style, weight in styles]
        columns, rows = (-(-side // self.network.multiple) for side in size)
        parts: list[Part] = []
        for region, labels in enumerate(match_regions(mask, request.style_masks)):
            shares_HW = torch.from_numpy(mask.shares(region, columns, rows)).to(self.workspace.device)
            there = [(k, label) for k, label in enumerate(labels) if label is not None]
            total = sum(weights[k] for k, _ in there)
            for k, label in there:
                style = self._moments(request.styles[k], sizes[k], request.style_masks[k], label)
                parts.append((style, shares_HW[None, None] * (weights[k] / total)))
        return parts

    def _moments(self, style: Pixels, size: tuple[int, int], mask: Labels | None = None, label: int = 0) -> Moments:
        """Return the means and deviations of a style image, or of a region of it, from memory if they are there."""

        def compute() -> dict[str, tuple[Tensor, ...]]:
            features_1CHW = self.network.encode(self.tensor(resize_to(style.array, *size)[None]))
            shares_11HW = None
            if mask is not None:
                rows, columns = features_1CHW.shape[2:]
                shares_11HW = torch.from_numpy(mask.shares(label, columns, rows)).to(features_1CHW.device)[None, None]
            return {"": moments(features_1CHW, shares_11HW)}

        key = ("moments", *self.key, style.digest, size, mask and mask.digest, label)
        mean, deviation = self.workspace.statistics.get(key, compute)[""]
        return mean, deviation
