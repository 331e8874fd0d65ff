"""DeepDream: amplifies what layers see in a picture (Mordvintsev, Olah & Tyka 2015), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.dream import DreamConfig
from nst.losses.objective import extract
from nst.losses.reward import activation, reward_term
from nst.losses.style import ENERGY_FLOOR
from nst.losses.terms import tv_term
from nst.methods.ascent import Ascent
from nst.methods.descent import configs_of, run_accepted
from nst.methods.finish import finishing
from nst.methods.start import GREY, missing_image, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.errors import NstError
    from nst.losses.objective import Objective, Term
    from nst.methods.descent import OnStep
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one dream or error per request.

    The picture x ascends, octave by octave, the reward

        sum over layers l of w_l |F_l(x)|^2 / |F_l(x_0)|^2 - tv_weight L_tv(x)

    with F the features and x_0 the starting picture at the size of the octave. The reward of the layers begins at the
    sum of their weights and grows as the layers see more in the picture. The recorded loss is minus the reward.

    Source:
        Mordvintsev, Olah & Tyka 2015, "Inceptionism: going deeper into neural networks", and its notebook (the L2
        objective). Differs: the activation of each layer is divided by that of the starting picture, so that weights
        mean the same for all layers.

    Example:
        >>> config = DreamConfig(**tiny, layers=["relu2_1"], pyramid={"levels": 1})
        >>> stylize_batch([Request("cell", content, (), (), "targets", config)], workspace)[0].image.shape
        (24, 32, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _ascent(accepted, workspace).run(on_step))


def _ascent(requests: Sequence[Request], workspace: Workspace) -> Ascent:
    configs = configs_of(requests, DreamConfig)
    config = configs[0]
    targets = Targets(requests, workspace, config.layers)
    ones_B = targets.vector([1.0] * len(requests))

    def growth(layer: str, share: float, energy_B: Tensor) -> Term:
        return reward_term(layer, lambda features_BCHW: share * activation(features_BCHW) / energy_B, ones_B)

    def objective(base_B3HW: Tensor) -> Objective:
        with torch.no_grad():
            before = extract(targets.backbone, base_B3HW, config.precision)
        energies = {layer: activation(before[layer]).clamp_min(ENERGY_FLOOR) for layer in config.layers}
        return targets.objective(
            tv_term(targets.vector([config.tv_weight for config in configs])),
            *(growth(layer, share, energies[layer]) for layer, share in config.layers.items()),
        )

    if config.init == "noise":
        start = [(GREY, 1.0, config.seed) for config in configs]
    else:
        start = [(targets.content, config.noise, config.seed) for config in configs]
    return Ascent(targets, start, objective, config.step_size, config.jitter, finishing(targets, config.color))


def refusal(request: Request) -> NstError | None:
    """Return an error for a request without the content image it needs or with a picture too small, or None."""
    if error := missing_image(request):
        return error
    config = request.config
    assert isinstance(config, DreamConfig)
    width, height, _ = plan_levels(request)[0]
    return too_thin("content" if config.needs else "new", (width, height), config.layers, config.backbone)
