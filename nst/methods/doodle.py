"""Paintings from doodles (Champandard 2016; fast-neural-doodle), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, R regions, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.doodle import DoodleConfig
from nst.errors import InputError
from nst.losses.terms import patch_terms, tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.finish import finishing
from nst.methods.guided import guided_style_terms, patch_guides, unmatched
from nst.methods.start import GREY, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin
from nst.pictures.images import style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

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
            *targets.temporal_terms([config.temporal_weight for config in configs]),
        )

    given = targets.content if config.init == "content" else None
    start = [
        (begun, 0.0, 0) if (begun := request.start or given) else (GREY, own.noise, own.seed)
        for request, own in zip(requests, configs, strict=True)
    ]
    return Descent(targets, config.optimizer, start, objective, finishing(targets, config.color))


def _style_terms(targets: Targets, configs: Sequence[DoodleConfig], size: Size) -> list[Term]:
    """Return a term of the style loss for every layer: Gram matrices by region, or patches matched with their masks."""
    config, weights = configs[0], [config.style_weight for config in configs]
    long_side = max(size) * config.style_scale
    colors_of = size if config.color == "histogram" else None
    if config.how == "gram":
        return guided_style_terms(targets, config.style_layers, size, long_side, weights, colors_of=colors_of)
    layers = tuple(config.style_layers)
    features = {
        style.key: targets.features(targets.style_picture(style, style_size(style, long_side), colors_of), layers)
        for request in targets.requests
        for style in request.styles
    }
    maps = {
        layer: tuple(tuple(features[style.key][layer] for style in request.styles) for request in targets.requests)
        for layer in layers
    }
    masks = [list(enumerate(request.style_masks)) for request in targets.requests]
    guides = patch_guides(targets, maps, masks, size, config.semantic_weight)
    return patch_terms(
        maps, config.style_layers, targets.vector(weights), size=config.patch_size, stride=config.stride, guides=guides
    )


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose masks do not fit together or whose images are too small, or None."""
    config = request.config
    assert isinstance(config, DoodleConfig)
    if request.content_mask is None or not request.styles:
        return InputError("doodle needs masks of content and style", hint="give each image a mask")
    if request.content is None and config.init == "content":
        return InputError("the content is a mask alone: there is no picture to start from", hint="set init: noise")
    if request.content is None and config.color != "style":
        return InputError("the content is a mask alone: it has no colours to keep", hint="set color: style")
    if error := unmatched(request):
        return error
    width, height, _ = plan_levels(request)[0]
    patch = config.least_positions
    layers = config.style_layers | (config.content_layers if request.content else {})
    error = too_thin("new", (width, height), layers, config.backbone, patch=patch)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone, patch=patch)
    return error
