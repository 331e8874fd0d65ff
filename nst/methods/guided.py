"""Style by region: checks that masks fit together, and makes terms of the Gram matrices of regions.

Knows no file and no optimiser. Shape letters: H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.errors import InputError
from nst.losses.guided import GuidedStyle, Region, region_grams
from nst.losses.objective import Term, arithmetic
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.terms import style_weight_factor
from nst.pictures.images import style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.config.energies import AuthorNetwork
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
    author: AuthorNetwork | None = None,
    colors_of: Size | None = None,
) -> list[Term]:
    """Return a term of the style loss for every layer, region by region.

    Where several images of a mixed style have a region, they are mixed in that region by their weights. In absolute
    units all regions share one factor, which follows from their mean energy.

    Args:
        targets: The targets of the batch, whose pictures share the content's mask.
        layers: Weight of each layer.
        size: Width and height of the picture in pixels.
        long_side: Long side of the style images in pixels.
        weights: Weight of the style for each image, in `units`.
        units: Units of the weights.
        author: The network whose energies convert the weights; None for those of the targets.
        colors_of: Size of the content whose colours the style images are given first; None to keep their colours.
    """
    mask = targets.requests[0].content_mask
    assert mask is not None, "requests without masks were refused"
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
    sizes = targets.backbone.grids(*size)
    terms = []
    for layer, share in layers.items():
        regions = []
        for region in range(len(mask.colors)):
            cells = []
            for request, match, style_grams in zip(targets.requests, matches, grams, strict=True):
                found = [(k, label) for k, label in enumerate(match[region]) if label is not None]
                statistics = [(style_grams[k][layer][label],) for k, label in found]
                cells.append((statistics, [request.style_weights[k] for k, _ in found], request.mix))
            target = style_target(STYLE_LOSSES["gram"], cells)
            regions.append(Region(shares_map(targets, mask, region, sizes[layer]), target))
        style = GuidedStyle(regions)
        factor_B = style_weight_factor(units, "gram", layer, (style.energy, regions[0].target.channels), author)
        terms.append(Term("style", layer, style, "statistics", share, share * factor_B * weights_B))
    return terms


def shares_map(targets: Targets, labels: Labels, label: int, size: Size) -> Tensor:
    """Return the share of every position of a grid that belongs to a region, in [0, 1], shape (H, W), on the device.

    The label image is averaged by area from its full size to the grid in one step, which gives what repeated 2 x 2
    pooling would. A position whose receptive field crosses the border of a region counts for both sides.

    Args:
        targets: The targets of the batch, for the device and the type.
        labels: The regions of an image.
        label: Index of the region.
        size: Width and height of the grid in positions.

    Source:
        leongatys/NeuralImageSynthesis, `simple`. Differs: averages by area instead of interpolating. Its `inside`
        leaves out, and its `all` takes in whole, the positions whose receptive field crosses a border.
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
    """Return the Gram matrices of a style image's regions by layer, from memory if kept."""
    matched = targets.content.digest if colors_of else None
    key = (style.digest, labels.digest, size, layers, "guided", matched, targets.backbone_key)

    def compute() -> dict[str, tuple[Tensor, ...]]:
        features = targets.features(targets.style_picture(style, size, colors_of), layers)
        with torch.no_grad(), arithmetic(targets.precision, targets.workspace.device):
            return region_grams(features, labels)

    return targets.workspace.statistics.get(key, compute)
