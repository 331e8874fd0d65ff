"""Style transfer and synthesis by neural patches (Li & Wand 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.mrf import MrfConfig
from nst.losses.terms import patch_terms, tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.start import GREY, missing_image, plan_levels, too_thin
from nst.methods.targets import Targets
from nst.pictures.images import resize_to, rotate, style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from nst.errors import NstError
    from nst.losses.objective import Objective, Term
    from nst.methods.descent import OnStep
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_patches(x, a) + tv_weight L_tv(x)

    with p the content image (a synthesis has none) and a the style with its turned and scaled copies. L_patches is the
    mean squared distance of each patch of the features of x to the patch of the features of a that correlates best with
    it; patches are matched anew at every step.

    A style mixed from several images offers the patches of all its images; their weights make no difference.

    Source:
        Li & Wand 2016, "Combining Markov random fields and convolutional neural networks for image synthesis", eq. 1
        to 4; chuanli11/CNNMRF for the defaults. Differs: relative units, values held in [0, 1].

    Example:
        >>> config = MrfConfig(**tiny, **shallow, pyramid={"levels": 1})
        >>> stylize_batch([Request("cell", content, (style,), (1.0,), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, MrfConfig)
    config = configs[0]
    transfer = config.what == "transfer"
    layers = [*config.style_layers, *(config.content_layers if transfer else ())]
    targets = Targets(requests, workspace, layers)

    def objective(width: int, height: int) -> Objective:
        size, content_weights = (width, height), [config.content_weight for config in configs]
        return targets.objective(
            *(targets.content_terms(config.content_layers, size, content_weights) if transfer else ()),
            *_style_terms(targets, configs, max(size)),
            tv_term(targets.vector([config.tv_weight for config in configs])),
        )

    from_content = transfer and config.init == "content"
    given = requests[0].start or (targets.content if from_content else None)
    start = [(given, 0.0, 0) if given else (GREY, 1.0, config.seed) for config in configs]
    return Descent(targets, config.optimizer, start, objective)


def _style_terms(targets: Targets, configs: Sequence[MrfConfig], long_side: int) -> list[Term]:
    """Return a term of the patch loss for every layer."""
    config = configs[0]
    layers = tuple(config.style_layers)
    features: dict[tuple[str, float], list[dict[str, Tensor]]] = {}
    for style in (style for request in targets.requests for style in request.styles):
        if style.key not in features:
            copies = style_copies(style, long_side * config.style_scale, config)
            features[style.key] = [targets.features(copy, layers) for copy in copies]
    maps = {
        layer: tuple(
            tuple(by_layer[layer] for style in request.styles for by_layer in features[style.key])
            for request in targets.requests
        )
        for layer in layers
    }
    weights_B = targets.vector([config.style_weight for config in configs])
    return patch_terms(maps, config.style_layers, weights_B, size=config.patch_size, stride=config.stride)


def style_copies(style: Pixels, long_side: float, config: MrfConfig) -> list[np.ndarray]:
    """Return the copies of a style image at every scale and angle, HWC uint8, without the corners that turning empties.

    Args:
        style: The style image.
        long_side: Long side in pixels of the copies at scale 1.
        config: Settings that name the scales and angles.
    """
    return [
        rotate(resize_to(style.array, *style_size(style, long_side * scale)), angle) for angle, scale in config.copies
    ]


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose image is missing or too small for one patch, or None."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, MrfConfig)
    width, height, _ = plan_levels(request)[0]
    layers = config.style_layers | (config.content_layers if config.what == "transfer" else {})
    word = "content" if config.what == "transfer" else "new"
    error = too_thin(word, (width, height), layers, config.backbone, patch=config.patch_size)
    for style in request.styles:
        for copy in style_copies(style, max(width, height) * config.style_scale, config):
            size = (copy.shape[1], copy.shape[0])
            error = error or too_thin("style", size, config.style_layers, config.backbone, patch=config.patch_size)
    return error
