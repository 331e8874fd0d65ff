"""Inversion of features (Mahendran & Vedaldi 2014), for a batch of cells at once.

Knows no file and no catalog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nst.config.invert import InvertConfig
from nst.losses.terms import tv_term
from nst.methods.descent import Descent, configs_of, run_accepted
from nst.methods.start import GREY, missing_image, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin
from nst.pictures.images import style_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.errors import NstError
    from nst.losses.objective import Objective
    from nst.methods.descent import OnStep
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one reconstruction or error per request.

    The picture x, grey with a little noise at first, minimises

        |F(x) - F(p)|^2 / |F(p)|^2 + tv_weight L_tv(x)                                    or
        mean over layers l of |G_l(x) - G_l(a)|^2 / |G_l(a)|^2 + tv_weight L_tv(x)

    with F the features of one layer, p the content image, G_l the Gram matrices of a chain of layers, and a the style.

    Source:
        Mahendran & Vedaldi 2014, eq. 2 with its normalised Euclidean loss and total variation with beta 2; the chain of
        Gram matrices: Gatys, Ecker & Bethge 2016, figure 1. Differs: values held in [0, 1] instead of the paper's
        alpha-norm, L-BFGS instead of descent with momentum.

    Example:
        >>> config = InvertConfig(**tiny, layer="relu2_1")
        >>> stylize_batch([Request("cell", content, (), (), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _descent(accepted, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, InvertConfig)
    config = configs[0]
    layers = _layers(config)
    targets = Targets(requests, workspace, layers)
    ones = [1.0] * len(requests)

    def objective(width: int, height: int) -> Objective:
        if config.what == "content":
            terms = targets.content_terms(layers, (width, height), ones)
        else:
            terms = targets.style_terms(layers, (width, height), max(width, height), ones)
        return targets.objective(*terms, tv_term(targets.vector([config.tv_weight for config in configs])))

    start = [(GREY, config.noise, config.seed) for config in configs]
    return Descent(targets, config.optimizer, start, objective)


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose image is missing or too small, or None."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, InvertConfig)
    width, height, _ = plan_levels(request)[0]
    word = "content" if config.what == "content" else "new"
    error = too_thin(word, (width, height), _layers(config), config.backbone)
    for style in request.styles:
        error = error or too_thin("style", style_size(style, max(width, height)), _layers(config), config.backbone)
    return error


def _layers(config: InvertConfig) -> dict[str, float]:
    if config.what == "content":
        return {config.layer: 1.0}
    return dict.fromkeys(config.chain, 1.0 / len(config.chain))
