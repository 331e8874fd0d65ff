"""Image style transfer by optimising pixels (Gatys, Ecker & Bethge 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from nst.config.backbone import NAMED
from nst.config.energies import AUTHORS
from nst.config.gatys import GatysConfig
from nst.errors import InputError
from nst.losses.terms import tv_term
from nst.losses.units import tv_factor
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.finish import finishing
from nst.methods.guided import guided_style_terms, unmatched
from nst.methods.start import missing_image, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin
from nst.pictures.images import style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.backbones import Backbone
    from nst.errors import NstError
    from nst.losses.objective import Objective, Term
    from nst.methods.descent import OnStep
    from nst.methods.targets import Size
    from nst.workspace import Request, Stylized, Workspace

_AS_GOOD_AS_EQUAL: Final = 0.02
"""Largest relative difference of two mean squares of weights that may come from rounding to half precision."""


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one stylized image or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_style(x, a) + tv_weight L_tv(x)
        + laplacian_weight L_laplacian(x, p) + photorealism_weight L_photorealism(x, p)
        + temporal_weight L_temporal(x, frames before)

    with p the content image and a the style, separately for each image of the batch. Where the images have masks,
    L_style compares the style region by region (`nst.losses.guided`).

    Source:
        Gatys, Ecker & Bethge 2016, section 2. Differs: relative units, total variation, values held in [0, 1] and a
        pyramid; `preset: gatys` sets what the paper's authors set in their code.

    Example:
        >>> config = GatysConfig(**tiny, **shallow)
        >>> stylize_batch([Request("cell", content, (style,), (1.0,), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, GatysConfig)
    config = configs[0]
    targets = Targets(requests, workspace, [*config.content_layers, *config.style_layers])
    for own in configs:
        _check_weights(own, targets.backbone)

    def objective(width: int, height: int) -> Objective:
        size = (width, height)
        content_weights = [config.content_weight for config in configs]
        laplacian_weights = [config.laplacian_weight for config in configs]
        photorealism_weights = [config.photorealism_weight for config in configs]
        tv_weight_B = targets.vector([config.tv_weight for config in configs])
        tv_weight_B = tv_weight_B * tv_factor(config.units, config.tv, 3 * width * height)
        return targets.objective(
            *targets.content_terms(config.content_layers, size, content_weights, config.units, config.author),
            *_style_terms(targets, configs, size),
            tv_term(tv_weight_B, config.tv),
            *targets.laplacian_terms(config.laplacian_pool, size, laplacian_weights, config.units),
            *targets.photorealism_terms(size, photorealism_weights, config.units),
            *targets.temporal_terms([config.temporal_weight for config in configs]),
        )

    share = 1.0 if config.init == "noise" else config.noise
    share = 0.0 if requests[0].continues else share  # the frame before is not to be seen through noise
    start = [
        (request.start or (targets.content if config.init == "content" else request.styles[0]), share, own.seed)
        for request, own in zip(requests, configs, strict=True)
    ]
    return Descent(targets, config.optimizer, start, objective, finishing(targets, config.color, config.guided_filter))


def _check_weights(config: GatysConfig, backbone: Backbone) -> None:
    """Refuse a file of weights that a preset takes for its author's, and that is of another network.

    Raises:
        InputError: The weights of its first layer differ from the author's in their mean square.
    """
    if config.preset != config.units or config.energies == "author" or config.backbone.weights in NAMED:
        return
    author = AUTHORS[config.units]
    found = backbone.get_buffer("conv1_1_weight").double().square().mean().sqrt().item()
    if author.first_weights and not math.isclose(found, author.first_weights, rel_tol=_AS_GOOD_AS_EQUAL):
        raise InputError(
            f"{config.backbone.weights} does not hold {author.title}, for which the weights of preset {config.preset} "
            f"were made: the root mean square of conv1_1 is {found:.4g}, there it is {author.first_weights:g}",
            hint="write energies: author, which converts the weights to this network",
        )


def _style_terms(targets: Targets, configs: Sequence[GatysConfig], size: Size) -> list[Term]:
    """Return a term of the style loss for every layer, region by region if the images have masks."""
    config = configs[0]
    long_side, weights = max(size) * config.style_scale, [config.style_weight for config in configs]
    colors_of = size if config.color == "histogram" else None
    if targets.requests[0].content_mask is not None:
        return guided_style_terms(
            targets,
            config.style_layers,
            size,
            long_side,
            weights,
            units=config.units,
            author=config.author,
            representation=config.style_representation,
            colors_of=colors_of,
        )
    return targets.style_terms(
        config.style_layers,
        size,
        long_side,
        weights,
        representation=config.style_representation,
        units=config.units,
        author=config.author,
        colors_of=colors_of,
    )


def refusal(request: Request) -> NstError | None:
    """Return an error for a request with a missing or too small image or with masks that do not fit, or None."""
    if error := missing_image(request) or unmatched(request):
        return error
    config = request.config
    assert isinstance(config, GatysConfig)
    width, height, _ = plan_levels(request)[0]
    layers = config.content_layers | config.style_layers
    error = too_thin("content", (width, height), layers, config.backbone)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone)
    if config.laplacian_weight and min(width, height) < 3 * config.laplacian_pool:
        error = error or InputError(
            f"the content image is {width} x {height} pixels at its smallest size; "
            f"a Laplacian of squares of {config.laplacian_pool} needs {3 * config.laplacian_pool}",
            hint="lower laplacian_pool or pyramid.levels, or raise size",
        )
    return error
