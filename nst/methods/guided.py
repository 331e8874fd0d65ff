"""Style by region: whether the masks of a batch fit together, and guided Gram matrices as terms of an objective.

Knows no file and no optimiser. Shape letters: H rows, W columns.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch.func import functional_call

from nst.errors import InputError
from nst.losses.guided import GuidedStyle, Region, region_grams
from nst.losses.objective import Term, arithmetic
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.units import style_factor
from nst.pictures.images import style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.backbones import Backbone
    from nst.losses.units import Units
    from nst.methods.targets import Size, Targets
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Request


def unmatched(request: Request) -> InputError | None:
    """Return an error for a request whose masks do not fit together, or None.

    Example:
        >>> request = Request("cell", content, (style,), (1.0,), "targets", GatysConfig(), plain_labels("#ff0000"))
        >>> unmatched(request).message
        'masks for some of the images only'
    """
    if request.content_mask is None and not request.style_masks:
        return None
    if request.content_mask is None or len(request.style_masks) != len(request.styles):
        return InputError("masks for some of the images only", hint="give a mask to all of them or to none")
    try:
        match_regions(request.content_mask, request.style_masks)
    except InputError as error:
        return error
    return None


def guided_style_terms(
    targets: Targets,
    layers: Mapping[str, float],
    size: Size,
    long_side: float,
    weights: Sequence[float],
    *,
    units: Units = "relative",
    colors_of: Size | None = None,
) -> list[Term]:
    """Return the style loss of every layer, by regions.

    Where several images of a mix have a region, they are mixed in it by their weights; in absolute units all regions
    share one factor, that of their mean energy.

    Args:
        targets: The batch, whose pictures share the content's mask.
        layers: The layers with their weights.
        size: Width and height of the picture.
        long_side: Pixels of the long side of the style images.
        weights: Per image, the weight of the style, in `units`.
        units: Units of the weights.
        colors_of: Give the styles the colours of the content at this size first.
    """
    mask = targets.requests[0].content_mask
    assert mask is not None, "requests without one were refused"
    grams = [
        [
            _gram_matrices(
                targets, style, labels, size=style_size(style, long_side), layers=tuple(layers), colors_of=colors_of
            )
            for style, labels in zip(request.styles, request.style_masks, strict=True)
        ]
        for request in targets.requests
    ]
    matches = [match_regions(mask, request.style_masks) for request in targets.requests]
    weights_B = targets.vector(weights)
    sizes = grids(targets.backbone, size)
    terms = []
    for layer, share in layers.items():
        regions = []
        for region in range(len(mask.colors)):
            cells = []
            for request, match, of_request in zip(targets.requests, matches, grams, strict=True):
                there = [(k, label) for k, label in enumerate(match[region]) if label is not None]
                statistics = [(of_request[k][layer][label],) for k, label in there]
                cells.append((statistics, [request.style_weights[k] for k, _ in there], request.mix))
            target = style_target(STYLE_LOSSES["gram"], cells)
            regions.append(Region(shares_map(targets, mask, region, sizes[layer]), target))
        style = GuidedStyle(regions)
        factor_B = style_factor(units, "gram", style.energy, regions[0].target.channels)
        terms.append(Term("style", layer, style, "statistics", share, share * factor_B * weights_B))
    return terms


def grids(backbone: Backbone, size: Size) -> dict[str, Size]:
    """Return width and height of every layer's feature maps, asked of the network itself without computing them."""
    state = itertools.chain(backbone.named_parameters(), backbone.named_buffers())
    shapes_only = {name: tensor.to("meta") for name, tensor in state}
    picture_13HW = torch.empty(1, 3, size[1], size[0], device="meta")
    features = functional_call(backbone, shapes_only, (picture_13HW,))
    return {layer: (feature_BCHW.shape[3], feature_BCHW.shape[2]) for layer, feature_BCHW in features.items()}


def shares_map(targets: Targets, labels: Labels, label: int, size: Size) -> Tensor:
    """Return a region's share of every position of a grid, shape (H, W), on the device.

    The label image is averaged by area at once from its full size to the grid: as repeated 2 x 2 pooling would, and
    like `simple` of leongatys/NeuralImageSynthesis, which interpolates. Its `inside` leaves out, and its `all` takes
    in, every position whose receptive field crosses a border; ours are soft instead, and what a position sees across
    the border counts for both sides.
    """
    return torch.from_numpy(labels.shares(label, *size)).to(targets.workspace.device, targets.dtype)


def _gram_matrices(
    targets: Targets,
    style: Pixels,
    labels: Labels,
    *,
    size: Size,
    layers: tuple[str, ...],
    colors_of: Size | None,
) -> dict[str, tuple[Tensor, ...]]:
    """Return the Gram matrix of every region of a style image at every layer, from memory if they are there."""
    matched = targets.content.digest if colors_of else None
    key = (style.digest, labels.digest, size, layers, "guided", matched, targets.backbone_key)

    def compute() -> dict[str, tuple[Tensor, ...]]:
        features = targets.features(targets.style_picture(style, size, colors_of), layers)
        with torch.no_grad(), arithmetic(targets.precision, targets.workspace.device):
            return region_grams(features, labels)

    return targets.workspace.statistics.get(key, compute)
