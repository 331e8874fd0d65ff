"""Paintings from doodles (Champandard 2016; fast-neural-doodle), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, R regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.doodle import DoodleConfig
from nst.errors import InputError
from nst.losses.objective import Objective, Term
from nst.losses.patches import PatchGuides, PatchTarget, patch_energy
from nst.losses.style import ENERGY_FLOOR
from nst.methods.descent import Descent, configs_of, each_that_can
from nst.methods.guides import grids, guided_style_terms, shares_map, unmatched
from nst.methods.start import GREY, plan_levels, too_thin
from nst.methods.targets import Targets
from nst.pictures.images import resize_to, style_size, target_size
from nst.pictures.masks import match_regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.methods.targets import Size
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one painting or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_style(x, a) + tv_weight L_tv(x)

    with p the content image, if there is one, and a the style; L_style compares what x and a have in the same regions
    of their masks: by the regions' Gram matrices, or by patches, each matched to the patch of a that is most like it in
    its features and in the patch of the mask that lies over it.

    Source:
        Champandard 2016, "Semantic style transfer and turning two-bit doodles into fine artworks", eq. 3 and 4;
        alexjc/neural-doodle@b2fac92 doodle.py; DmitryUlyanov/fast-neural-doodle@867d039. Differs: regions are channels
        of their own instead of the colours' values (so that black is as good as any colour), relative units, squared
        distances of Gram matrices (there SmoothL1), values held in [0, 1].
    """
    return each_that_can(requests, refusal, lambda able: _descent(able, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, DoodleConfig)
    config, pictured = configs[0], requests[0].content is not None
    targets = Targets(requests, workspace, [*config.style_layers, *(config.content_layers if pictured else ())])

    def objective(width: int, height: int) -> Objective:
        size = (width, height)
        content_weights = [one.content_weight for one in configs]
        content = targets.content_terms(config.content_layers, size, content_weights) if pictured else {}
        long_side, style_weights = max(size) * config.style_scale, [one.style_weight for one in configs]
        if config.how == "gram":
            style = guided_style_terms(targets, config.style_layers, size, long_side, style_weights)
        else:
            style = _patch_terms(targets, configs, size)
        tv_weight_B = targets.vector([one.tv_weight for one in configs])
        return Objective(targets.backbone, content, style, "squared", tv_weight_B, config.precision)

    from_content = config.init == "content"
    start = [(targets.content, 0.0, 0) if from_content else (GREY, one.noise, one.seed) for one in configs]
    return Descent(targets, _size(requests[0]), start, objective)


def _patch_terms(targets: Targets, configs: Sequence[DoodleConfig], size: Size) -> dict[str, Term]:
    """Return the patch loss of every layer, patches matched with the masks over them."""
    config, requests = configs[0], targets.requests
    mask = requests[0].content_mask
    assert mask is not None, "refused before"
    features = {
        style.digest: targets.features(
            resize_to(style.array, *style_size(style, max(size) * config.style_scale)), tuple(config.style_layers)
        )
        for one in requests
        for style in one.styles
    }
    weights_B = targets.vector([one.style_weight for one in configs])
    sizes = grids(targets.backbone, size)
    terms = {}
    for layer, share in config.style_layers.items():
        maps = tuple(tuple(features[style.digest][layer] for style in one.styles) for one in requests)
        over_styles = tuple(_style_masks(targets, one, of_one) for one, of_one in zip(requests, maps, strict=True))
        regions = range(len(mask.colors))
        over_picture_1RHW = torch.stack([shares_map(targets, mask, r, sizes[layer]) for r in regions])[None]
        guides = PatchGuides(over_picture_1RHW, over_styles, config.semantic_weight)
        energies = [patch_energy(of_one, config.patch_size, config.stride) for of_one in maps]
        energy_B = torch.stack(energies).clamp_min(ENERGY_FLOOR)
        target = PatchTarget(maps, energy_B, config.patch_size, config.stride, guides)
        terms[layer] = Term(target, share, share * weights_B)
    return terms


def _style_masks(targets: Targets, request: Request, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Return for each style image where the picture's regions are in it, shape (1, R, H, W)."""
    assert request.content_mask is not None, "refused before"
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
    """Return why a request cannot run at all, or None: masks that do not fit, or pictures too small."""
    config = request.config
    assert isinstance(config, DoodleConfig)
    if request.content_mask is None or not request.styles:
        return InputError("doodle needs masks of content and style", hint="give each image a mask")
    if request.content is None and config.init == "content":
        return InputError("a content that is a mask alone has no picture to start from", hint="set init: noise")
    if error := unmatched(request):
        return error
    width, height, _ = plan_levels(config, *_size(request))[0]
    patch = config.patch_size if config.how == "patches" else 1
    layers = config.style_layers | (config.content_layers if request.content else {})
    error = too_thin("new", (width, height), layers, config.backbone, patch=patch)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone, patch=patch)
    return error


def _size(request: Request) -> Size:
    """Return width and height of the picture: in the proportions of the content image, or of the mask without one."""
    config, mask = request.config, request.content_mask
    assert isinstance(config, DoodleConfig)
    assert mask is not None
    rows, columns = (request.content.array if request.content else mask.index).shape[:2]
    return target_size(columns, rows, config.size, config.resize)
