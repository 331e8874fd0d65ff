"""Style by region: checks that masks fit together, and makes style terms of regions and masks of patches.

Knows no file and no optimiser. Shape letters: H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.errors import InputError
from nst.losses.guided import GuidedStyle, Region, positions_of, region_statistics
from nst.losses.objective import Term, arithmetic
from nst.losses.patches import PatchGuides
from nst.losses.style import STYLE_LOSSES, style_target
from nst.losses.terms import style_weight_factor
from nst.pictures.images import style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.config.energies import AuthorNetwork
    from nst.config.fields import Representation
    from nst.losses.style import Statistics
    from nst.losses.units import Units
    from nst.methods.targets import Size, Targets
    from nst.pictures.images import Pixels
    from nst.pictures.masks import Labels
    from nst.workspace import Request


def unmatched(request: Request, *, partly: bool = False) -> InputError | None:
    """Return an error for a request whose masks do not fit together, or None.

    Args:
        request: The request.
        partly: Whether regions of the content may have no style, as long as one region has one.

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
        match_regions(request.content_mask, request.style_masks, partly=partly)
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
    representation: Representation = "gram",
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
        representation: Which statistics of the features are compared.
        units: Units of the weights.
        author: The network whose energies convert the weights; None for those of the targets.
        colors_of: Size of the content whose colours the style images are given first; None to keep their colours.
    """
    mask = _content_mask(targets)
    loss = STYLE_LOSSES[representation]
    of_requests = [
        [
            _statistics(
                targets,
                style,
                labels,
                representation=representation,
                size=style_size(style, long_side),
                layers=tuple(layers),
                colors_of=colors_of,
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
            shares_HW = shares_map(targets, mask, region, sizes[layer])
            cells = []
            for request, match, of_styles in zip(targets.requests, matches, of_requests, strict=True):
                found = [(k, label) for k, label in enumerate(match[region]) if label is not None]
                of_region = [of_styles[k][f"{layer} {label}"] for k, label in found]
                if loss.fit:
                    count = int(positions_of(shares_HW).sum())
                    of_region = [loss.fit(statistics, count) for statistics in of_region]
                cells.append((of_region, [request.style_weights[k] for k, _ in found], request.mix))
            target = style_target(loss, cells)
            regions.append(Region(shares_HW, target))
        style = GuidedStyle(regions, representation)
        factor_B = style_weight_factor(units, loss.unit, layer, (style.energy, regions[0].target.channels), author)
        terms.append(Term("style", layer, style, loss.scope, share, share * factor_B * weights_B))
    return terms


def patch_guides(
    targets: Targets,
    maps: Mapping[str, Sequence[Sequence[Tensor]]],
    masks: Sequence[Sequence[tuple[int, Labels]]],
    size: Size,
    weight: float,
) -> dict[str, PatchGuides]:
    """Return the masks of the pictures and of the styles on the grids of their feature maps, by layer.

    Args:
        targets: The targets of the batch, whose pictures share the content's mask.
        maps: For each layer and picture, the feature maps of the style, shape (1, C, H, W) each.
        masks: For each picture and each of its maps, the number of the style image and the mask that lies over the map.
        size: Width and height of the picture in pixels.
        weight: Weight of the correlation of masks against the correlation of features.
    """
    mask = _content_mask(targets)
    grid_sizes = targets.backbone.grids(*size)
    guides = {}
    for layer, maps_of in maps.items():
        regions = range(len(mask.colors))
        picture_RHW = torch.stack([shares_map(targets, mask, region, grid_sizes[layer]) for region in regions])
        styles = tuple(
            _masks_of_maps(targets, match_regions(mask, request.style_masks), over, of_request)
            for request, over, of_request in zip(targets.requests, masks, maps_of, strict=True)
        )
        guides[layer] = PatchGuides(picture_RHW[None], styles, weight)
    return guides


def _masks_of_maps(
    targets: Targets,
    matches: Sequence[Sequence[int | None]],
    masks: Sequence[tuple[int, Labels]],
    maps: Sequence[Tensor],
) -> tuple[Tensor, ...]:
    """Return for each map of a style the regions of the picture on the grid of the map, shape (1, R, H, W)."""
    stacks = []
    for (number, labels), map_1CHW in zip(masks, maps, strict=True):
        size = (map_1CHW.shape[3], map_1CHW.shape[2])
        nowhere_HW = map_1CHW.new_zeros(size[::-1])
        parts = [
            nowhere_HW if (label := match[number]) is None else shares_map(targets, labels, label, size)
            for match in matches
        ]
        stacks.append(torch.stack(parts)[None])
    return tuple(stacks)


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


def _content_mask(targets: Targets) -> Labels:
    mask = targets.requests[0].content_mask
    assert mask is not None, "requests without masks were refused"
    return mask


def _statistics(
    targets: Targets,
    style: Pixels,
    labels: Labels,
    *,
    representation: Representation,
    size: Size,
    layers: tuple[str, ...],
    colors_of: Size | None,
) -> dict[str, Statistics]:
    """Return the statistics of a style image's regions by layer and number of the region, from memory if kept."""
    matched = targets.content.digest if colors_of else None
    key = (style.digest, labels.digest, size, layers, representation, matched, targets.backbone_key)

    def compute() -> dict[str, Statistics]:
        features = targets.features(targets.style_picture(style, size, colors_of), layers)
        with torch.no_grad(), arithmetic(targets.precision, targets.workspace.device):
            found = region_statistics(features, labels, representation)
        return {f"{layer} {label}": part for layer, parts in found.items() for label, part in enumerate(parts)}

    return targets.workspace.statistics.get(key, compute)
