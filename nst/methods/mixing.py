"""Styles for trained networks, mixed by weight, and region by region where images have masks.

A network of any style mixes features within one pass (`StyleMixer`). A network that has learned its styles paints one
picture for each blend of them, and the pictures are put together by the mask (`painted_regions`).

Knows no family. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from nst.config.feedforward import FeedforwardConfig
from nst.pictures.color import match_colors
from nst.pictures.images import Pixels, resize_to, style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from torch import Tensor

    from nst.methods.targets import Size
    from nst.networks import Network
    from nst.networks.network import Part, Style
    from nst.networks.tiling import Tile
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

    def mix(self, request: Request, size: Size, long_side: float) -> list[Part]:
        """Return the styles of a request, each with its share: a number, or of every position, shape (1, 1, H, W).

        Args:
            request: The request, with masks for all of its images or for none.
            size: Width and height of its picture in pixels.
            long_side: Long side of the style images in pixels.
        """
        mask, weights = request.content_mask, request.style_weights
        sizes = [style_size(style, long_side) for style in request.styles]
        colors = _colors_of(request, size)
        if mask is None:
            styles = zip(request.styles, sizes, weights, strict=True)
            return [(self._describe(style, own, colors), weight / sum(weights)) for style, own, weight in styles]
        columns, rows = (-(-side // self.network.multiple) for side in size)
        parts: list[Part] = []
        for region, labels in enumerate(match_regions(mask, request.style_masks)):
            shares_11HW = self._shares(mask, region, rows, columns)
            found = [(k, label) for k, label in enumerate(labels) if label is not None]
            total = sum(weights[k] for k, _ in found)
            for k, label in found:
                style = self._describe(request.styles[k], sizes[k], colors, request.style_masks[k], label)
                parts.append((style, shares_11HW * (weights[k] / total)))
        return parts

    def _describe(
        self, style: Pixels, size: Size, colors: Pixels | None, mask: Labels | None = None, label: int = 0
    ) -> Style:
        """Return the network's description of a style image, or of one region of it, from memory if kept.

        The style image is given the colours of `colors` first, if there are any.
        """

        def compute() -> dict[str, Style]:
            array = resize_to(style.array, *size)
            picture_13HW = self.tensor((array if colors is None else match_colors(array, colors.array))[None])
            shares = None if mask is None else partial(self._shares, mask, label)
            return {"": self.network.describe_style(picture_13HW, shares)}

        key = ("described", *self.key, style.digest, size, mask and mask.digest, label, colors and colors.key)
        return self.workspace.statistics.get(key, compute)[""]

    def _shares(self, mask: Labels, label: int, rows: int, columns: int) -> Tensor:
        return torch.from_numpy(mask.shares(label, columns, rows)).to(self.workspace.device)[None, None]


def shown_parts(parts: Sequence[Part], step: int, size: tuple[int, int], tile: Tile | None) -> list[Part]:
    """Return the styles of a whole picture with their shares of those positions that a network sees of it.

    Args:
        parts: The styles, each with its share, as `StyleMixer.mix` returns them.
        step: Pixels from one position to the next.
        size: Rows and columns of what the network sees, in pixels.
        tile: Which part of the picture that is; None for the whole one, shrunk.
    """
    rows, columns = (-(-side // step) for side in size)

    def shown(share: float | Tensor) -> float | Tensor:
        if not isinstance(share, torch.Tensor):
            return share
        if tile is None:
            return functional.adaptive_avg_pool2d(share, (rows, columns))
        (top, _), (left, _) = tile.outer
        return share[:, :, top // step : top // step + rows, left // step : left // step + columns]

    return [(style, shown(share)) for style, share in parts]


def _colors_of(request: Request, size: Size) -> Pixels | None:
    """Return the content at a size if the style images are to be given its colours first, or None."""
    config, content = request.config, request.content
    if content is None or not isinstance(config, FeedforwardConfig) or config.color != "histogram":
        return None
    return Pixels(f"{content.digest} {size}", resize_to(content.array, *size))


def painted_regions(request: Request, size: Size) -> Iterator[tuple[Request, np.ndarray]]:
    """Yield the request with the styles of some regions alone, and the share of every pixel that they cover, (H, W).

    Regions of the same style images are yielded together, since one pass of a network paints them all. Regions that no
    style has are left out: a network knows but few styles, and the photograph stays as it is there. Where shares are
    between 0 and 1, at the borders of regions, pictures are to be blended.

    Args:
        request: A request with masks for all of its images.
        size: Width and height of its picture in pixels.
    """
    mask = request.content_mask
    assert mask is not None, "a request without masks has no regions"
    shares: dict[tuple[int, ...], np.ndarray] = {}
    for region, labels in enumerate(match_regions(mask, request.style_masks, partly=True)):
        found = tuple(k for k, label in enumerate(labels) if label is not None)
        if found:
            covered_HW = mask.shares(region, *size)
            shares[found] = shares[found] + covered_HW if found in shares else covered_HW
    for found, covered_HW in shares.items():
        styles = tuple(request.styles[k] for k in found)
        yield replace(request, styles=styles, style_weights=tuple(request.style_weights[k] for k in found)), covered_HW
