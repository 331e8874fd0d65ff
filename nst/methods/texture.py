"""Texture synthesis from noise (Gatys, Ecker & Bethge 2015), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.texture import TextureConfig
from nst.losses.terms import tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.start import GREY, missing_image, plan_levels
from nst.methods.targets import Targets
from nst.pictures.color import match_histograms
from nst.pictures.fitting import too_thin
from nst.pictures.images import resize_to, style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.losses.objective import Objective
    from nst.methods.descent import OnStep
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one new picture or error per request.

    The picture x, grey with a little noise at first, minimises

        sum over layers l of w_l |G_l(x) - G_l(a)|^2 / |G_l(a)|^2

    with a the example and G_l the Gram matrices of layer l, averaged over positions, so that x may have any size.

    Source:
        Gatys, Ecker & Bethge 2015, "Texture synthesis using convolutional neural networks", section 3;
        leongatys/DeepTextures for the layers and the histograms at the end. Differs: the loss of every layer is divided
        by the energy of its target, where DeepTextures has the factor 1e9 / 4 N^2 for all layers, on a network rescaled
        to mean activations of one; and there may be a pyramid.

    Example:
        >>> config = TextureConfig(**tiny, style_layers=["relu1_1"])
        >>> stylize_batch([Request("cell", None, (style,), (1.0,), "targets", config)], workspace)[0].image.shape
        (32, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, TextureConfig)
    config = configs[0]
    targets = Targets(requests, workspace, config.style_layers)

    def objective(width: int, height: int) -> Objective:
        long_side = _example_side(config, width, height)
        return targets.objective(
            *targets.style_terms(config.style_layers, (width, height), long_side, [1.0] * len(requests)),
            tv_term(targets.vector([config.tv_weight for config in configs])),
        )

    def take_histograms(pictures_B3HW: Tensor) -> Tensor:
        side = _example_side(config, *config.canvas)
        examples = [
            [resize_to(style.array, *style_size(style, side)) for style in request.styles] for request in requests
        ]
        matched = [
            match_histograms(picture, arrays, request.style_weights)
            for picture, arrays, request in zip(pictures_B3HW, examples, requests, strict=True)
        ]
        return torch.stack(matched)

    start = [(GREY, config.noise, config.seed) for config in configs]
    return Descent(targets, config.optimizer, start, objective, take_histograms if config.histogram_match else None)


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose example is missing, or whose example or picture is too small, or None."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, TextureConfig)
    width, height, _ = plan_levels(request)[0]
    error = too_thin("new", (width, height), config.style_layers, config.backbone)
    for style in request.styles:
        size = style_size(style, _example_side(config, width, height))
        error = error or too_thin("example", size, config.style_layers, config.backbone)
    return error


def _example_side(config: TextureConfig, width: int, height: int) -> float:
    """Return the long side of the example in pixels at a level of this size: picture and example shrink together."""
    return (config.example_size or max(config.canvas)) * max(width, height) / max(config.canvas)
