"""Stylization against a critic of neural patches (Li & Wand 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.mdan import MdanConfig
from nst.config.optimizer import AdamConfig
from nst.losses.adversarial import BETAS, Contest, Game, contest_terms
from nst.losses.terms import tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.finish import finishing
from nst.methods.start import GREY, missing_image, plan_levels
from nst.methods.targets import Targets
from nst.networks.mgan import critics_of
from nst.pictures.fitting import too_thin
from nst.pictures.images import style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.methods.targets import Size
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request.

    The picture x and its critic D move at the same time, from coarse to fine. The picture minimises

        content_weight L_content(x, p) + style_weight mean max(0, 1 - D(x)) + tv_weight L_tv(x)

    with p the content image and D(x) the score of each patch of the features of x. The critic minimises

        mean max(0, 1 - D(a)) + mean max(0, 1 + D(x))

    with a the style. Every cell has critics of its own, one for each of the `style_layers`. A style mixed from several
    images offers the patches of all its images, by their weights.

    Source:
        Li & Wand 2016, "Precomputed real-time texture synthesis with Markovian generative adversarial networks",
        section 3, eq. 1 to 3 (MDAN); chuanli11/MGANs `code/MDAN_wrapper.lua` for the defaults. Differs: relative units,
        values held in [0, 1], both players move at once, the critic (`nst.networks.mgan.PatchCritic`), a pyramid.

    Example:
        >>> config = MdanConfig(**tiny, content_layers=["relu2_1"], style_layers=["relu2_1"], pyramid={"levels": 1})
        >>> stylize_batch([Request("cell", content, (style,), (1.0,), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, MdanConfig)
    config = configs[0]
    targets = Targets(requests, workspace, [*config.style_layers, *config.content_layers])

    def objective(width: int, height: int) -> Game:
        contests = _contests(targets, configs, (width, height))
        weights_B = targets.vector([config.style_weight for config in configs])
        terms = (
            *targets.content_terms(config.content_layers, (width, height), [c.content_weight for c in configs]),
            *contest_terms(contests, config.style_layers, weights_B),
            tv_term(targets.vector([config.tv_weight for config in configs])),
        )
        parameters = [parameter for contest in contests.values() for parameter in contest.parameters()]
        rate = config.critic_rate * config.learning_rate
        return Game(targets.backbone, terms, targets.precision, critics=torch.optim.Adam(parameters, rate, BETAS))

    given = requests[0].start or (targets.content if config.init == "content" else None)
    start = [(given, 0.0, 0) if given else (GREY, 1.0, config.seed) for config in configs]
    adam = AdamConfig(learning_rate=config.learning_rate, beta1=BETAS[0], beta2=BETAS[1])
    return Descent(targets, adam, start, objective, finishing(targets, config.color))


def _contests(targets: Targets, configs: Sequence[MdanConfig], size: Size) -> dict[str, Contest]:
    """Return the contest at every layer, with new critics."""
    config = configs[0]
    layers, long_side = tuple(config.style_layers), max(size) * config.style_scale
    colors_of = size if config.color == "histogram" else None

    def real(style: Pixels) -> dict[str, Tensor]:
        picture = targets.style_picture(style, style_size(style, long_side), colors_of)
        return targets.features(picture, layers)

    styles = [[real(style) for style in request.styles] for request in targets.requests]
    critics = [critics_of(images, config.seed) for images, config in zip(styles, configs, strict=True)]
    shares = [[weight / sum(weights) for weight in weights] for weights in (r.style_weights for r in targets.requests)]
    return {
        layer: Contest(
            [by_layer[layer] for by_layer in critics],
            [[by_layer[layer] for by_layer in images] for images in styles],
            shares,
        )
        for layer in layers
    }


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose images are missing or too small, or None."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, MdanConfig)
    width, height, _ = plan_levels(request)[0]
    error = too_thin("content", (width, height), config.content_layers, config.backbone)
    error = error or too_thin("content", (width, height), config.style_layers, config.backbone, patch=3)
    for style in request.styles:
        size = style_size(style, max(width, height) * config.style_scale)
        error = error or too_thin("style", size, config.style_layers, config.backbone, patch=3)
    return error
