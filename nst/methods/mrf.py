"""Style transfer and synthesis by neural patches (Li & Wand 2016), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.mrf import MrfConfig
from nst.losses.objective import Objective, Term
from nst.losses.patches import PatchTarget, patch_energy
from nst.losses.style import ENERGY_FLOOR
from nst.methods.descent import Descent, configs_of, each_that_can
from nst.methods.start import GREY, missing_image, plan_levels, too_thin
from nst.methods.targets import Targets
from nst.pictures.images import resize_to, rotate, style_size, target_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.pictures.images import Pixels
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request.

    The picture x minimises, from coarse to fine,

        content_weight L_content(x, p) + style_weight L_patches(x, a) + tv_weight L_tv(x)

    with p the content image (none in a synthesis), a the style with its turned and scaled copies, and L_patches the
    mean squared distance of every patch of x's features to the patch of a's that correlates best with it, matched anew
    at every step.

    A style mixed from several images offers the patches of all of them; their weights make no difference.

    Source:
        Li & Wand 2016, "Combining Markov random fields and convolutional neural networks for image synthesis", eq. 1
        to 4; chuanli11/CNNMRF for the defaults. Differs: relative units, values held in [0, 1].
    """
    return each_that_can(requests, refusal, lambda able: _descent(able, workspace).run(on_step))


def _descent(requests: Sequence[Request], workspace: Workspace) -> Descent:
    configs = configs_of(requests, MrfConfig)
    config = configs[0]
    transfer = config.what == "transfer"
    layers = [*config.style_layers, *(config.content_layers if transfer else ())]
    targets = Targets(requests, workspace, layers)

    def objective(width: int, height: int) -> Objective:
        content_weights = [one.content_weight for one in configs]
        content = targets.content_terms(config.content_layers, (width, height), content_weights) if transfer else {}
        style = _patch_terms(targets, configs, max(width, height))
        tv_weight_B = targets.vector([one.tv_weight for one in configs])
        return Objective(targets.backbone, content, style, "squared", tv_weight_B, config.precision)

    from_content = transfer and config.init == "content"
    start = [(targets.content, 0.0, 0) if from_content else (GREY, 1.0, one.seed) for one in configs]
    return Descent(targets, _size(requests[0]), start, objective)


def _patch_terms(targets: Targets, configs: Sequence[MrfConfig], long_side: int) -> dict[str, Term]:
    """Return the patch loss of every layer."""
    config = configs[0]
    known: dict[str, list[dict[str, Tensor]]] = {}
    for style in (style for one in targets.requests for style in one.styles):
        if style.digest not in known:
            copies = style_copies(style, long_side * config.style_scale, config)
            known[style.digest] = [targets.features(copy, tuple(config.style_layers)) for copy in copies]
    weights_B = targets.vector([one.style_weight for one in configs])
    terms = {}
    for layer, share in config.style_layers.items():
        maps = tuple(
            tuple(features[layer] for style in one.styles for features in known[style.digest])
            for one in targets.requests
        )
        energies = [patch_energy(of_one, config.patch_size, config.stride) for of_one in maps]
        energy_B = torch.stack(energies).clamp_min(ENERGY_FLOOR)
        target = PatchTarget(maps, energy_B, config.patch_size, config.stride)
        terms[layer] = Term(target, share, share * weights_B)
    return terms


def style_copies(style: Pixels, long_side: float, config: MrfConfig) -> list[np.ndarray]:
    """Return the style at every scale and angle, HWC uint8; without the corners that turning leaves empty."""
    return [
        rotate(resize_to(style.array, *style_size(style, long_side * scale)), angle) for angle, scale in config.copies
    ]


def refusal(request: Request) -> NstError | None:
    """Return why a request cannot run at all, or None: a picture is missing, or too small for one patch."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, MrfConfig)
    width, height, _ = plan_levels(config, *_size(request))[0]
    layers = config.style_layers | (config.content_layers if config.what == "transfer" else {})
    error = too_thin(config.what, (width, height), layers, config.backbone, patch=config.patch_size)
    for style in request.styles:
        for copy in style_copies(style, max(width, height) * config.style_scale, config):
            size = (copy.shape[1], copy.shape[0])
            error = error or too_thin("style", size, config.style_layers, config.backbone, patch=config.patch_size)
    return error


def _size(request: Request) -> tuple[int, int]:
    config, content = request.config, request.content
    assert isinstance(config, MrfConfig)
    if config.what == "synthesis" or content is None:
        return config.size, config.size
    rows, columns = content.array.shape[:2]
    return target_size(columns, rows, config.size, config.resize)
