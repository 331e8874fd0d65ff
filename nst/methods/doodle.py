"""Paintings from doodles (Champandard 2016; fast-neural-doodle), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, R regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.doodle import DoodleConfig
from nst.errors import InputError
from nst.losses.patches import PatchGuides
from nst.losses.terms import patch_terms, tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.guided import guided_style_terms, shares_map, unmatched
from nst.methods.start import GREY, plan_levels, too_thin
from nst.methods.targets import Targets
from nst.pictures.images import resize_to, style_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.losses.objective import Objective, Term
    from nst.methods.descent import OnStep
    from nst.methods.targets import Size
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one painting or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_style(x, a) + tv_weight L_tv(x)

    with p the content image, if there is one, and a the style. L_style compares x and a in the same regions of their
    masks: by the Gram matrices of the regions, or by patches. Each patch of x is matched to the patch of a that is most
    like it in its features and in the part of the mask that lies over it.

    Source:
        Champandard 2016, "Semantic style transfer and turning two-bit doodles into fine artworks", eq. 3 and 4;
        alexjc/neural-doodle@b2fac92 doodle.py; DmitryUlyanov/fast-neural-doodle@867d039. Differs: each region is a
        channel of the mask, where they take the values of its colours (so that black counts as much as any colour);
        relative units; squared distances of Gram matrices instead of SmoothL1; values held in [0, 1].

    Example:
        >>> config, mask = DoodleConfig(**tiny, **shallow, pyramid={"levels": 1}), plain_labels("#ff0000")
        >>> request = Request("cell", content, (style,), (1.0,), "targets", config, mask, (mask,))
        >>> stylize_batch([request], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, DoodleConfig)
    config, has_picture = configs[0], requests[0].content is not None
    targets = Targets(requests, workspace, [*config.style_layers, *(config.content_layers if has_picture else ())])

    def objective(width: int, height: int) -> Objective:
        size, content_weights = (width, height), [config.content_weight for config in configs]
        return targets.objective(
            *(targets.content_terms(config.content_layers, size, content_weights) if has_picture else ()),
            *_style_terms(targets, configs, size),
            tv_term(targets.vector([config.tv_weight for config in configs])),
        )

    given = requests[0].start or (targets.content if config.init == "content" else None)
    start = [(given, 0.0, 0) if given else (GREY, config.noise, config.seed) for config in configs]
    return Descent(targets, config.optimizer, start, objective)


def _style_terms(targets: Targets, configs: Sequence[DoodleConfig], size: Size) -> list[Term]:
    """Return a term of the style loss for every layer: Gram matrices by region, or patches matched with their masks."""
    config, weights = configs[0], [config.style_weight for config in configs]
    long_side = max(size) * config.style_scale
    if config.how == "gram":
        return guided_style_terms(targets, config.style_layers, size, long_side, weights)
    layers = tuple(config.style_layers)
    features = {
        style.key: targets.features(resize_to(style.array, *style_size(style, long_side)), layers)
        for request in targets.requests
        for style in request.styles
    }
    maps = {
        layer: tuple(tuple(features[style.key][layer] for style in request.styles) for request in targets.requests)
        for layer in layers
    }
    guides = _guides(targets, maps, size, config.semantic_weight)
    return patch_terms(
        maps, config.style_layers, targets.vector(weights), size=config.patch_size, stride=config.stride, guides=guides
    )


def _guides(
    targets: Targets, maps: Mapping[str, Sequence[Sequence[Tensor]]], size: Size, weight: float
) -> dict[str, PatchGuides]:
    """Return the masks of the pictures and of the styles on the grids of their feature maps, by layer."""
    mask = targets.requests[0].content_mask
    assert mask is not None, "requests without masks were refused"
    grid_sizes = targets.backbone.grids(*size)
    guides = {}
    for layer, style_maps in maps.items():
        regions = range(len(mask.colors))
        picture_RHW = torch.stack([shares_map(targets, mask, region, grid_sizes[layer]) for region in regions])
        styles = tuple(
            _style_masks(targets, request, request_maps)
            for request, request_maps in zip(targets.requests, style_maps, strict=True)
        )
        guides[layer] = PatchGuides(picture_RHW[None], styles, weight)
    return guides


def _style_masks(targets: Targets, request: Request, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return for each style image the regions of the picture on the grid of its map, shape (1, R, H, W)."""
    assert request.content_mask is not None, "requests without masks were refused"
    matches = match_regions(request.content_mask, request.style_masks)
    stacks = []
    for number, (labels, map_1CHW) in enumerate(zip(request.style_masks, maps, strict=True)):
        size = (map_1CHW.shape[3], map_1CHW.shape[2])
        nowhere_HW = map_1CHW.new_zeros(size[::-1])
        parts = [
            nowhere_HW if (label := match[number]) is None else shares_map(targets, labels, label, size)
            for match in matches
        ]
        stacks.append(torch.stack(parts)[None])
    return tuple(stacks)


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose masks do not fit together or whose images are too small, or None."""
    config = request.config
    assert isinstance(config, DoodleConfig)
    if request.content_mask is None or not request.styles:
        return InputError("doodle needs masks of content and style", hint="give each image a mask")
    if request.content is None and config.init == "content":
        return InputError("the content is a mask alone: there is no picture to start from", hint="set init: noise")
    if error := unmatched(request):
        return error
    width, height, _ = plan_levels(request)[0]
    patch = config.patch_size if config.how == "patches" else 1
    layers = config.style_layers | (config.content_layers if request.content else {})
    error = too_thin("new", (width, height), layers, config.backbone, patch=patch)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone, patch=patch)
    return error
