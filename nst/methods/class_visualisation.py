"""Class model visualisation (Simonyan, Vedaldi & Zisserman 2014), for a batch of cells at once.

Knows no file and no catalog. Shape letters: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from nst.config.class_visualisation import ClassVisualisationConfig
from nst.losses.objective import extract
from nst.losses.reward import class_score, reward_term, squared_distance_to_mean
from nst.losses.terms import tv_term
from nst.methods.ascent import Ascent
from nst.methods.descent import configs_of, run_accepted
from nst.methods.start import GREY, plan_levels
from nst.methods.targets import Targets
from nst.pictures.fitting import too_thin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.errors import NstError
    from nst.methods.descent import OnStep
    from nst.workspace import Request, Stylized, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request.

    The picture x, the mean colour at first, ascends

        S_c(x) - l2_weight |x - mean|^2 - tv_weight L_tv(x)

    with S_c the score of the class c before the softmax. The recorded loss is minus this reward.

    Source:
        Simonyan, Vedaldi & Zisserman 2014, "Deep inside convolutional networks", section 2, eq. 1. Differs: normalised
        steps and jitter (Mordvintsev, Olah & Tyka 2015), values held in [0, 1].

    Example:
        >>> config = ClassVisualisationConfig(size=64, steps=1, backbone={"weights": "random"}, target=3)
        >>> stylize_batch([Request("cell", None, (), (), "targets", config)], workspace)[0].image.shape
        (64, 64, 3)
    """
    return run_accepted(requests, refusal, lambda accepted: _visualise(accepted, workspace, on_step))


def _visualise(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None) -> list[Stylized]:
    configs = configs_of(requests, ClassVisualisationConfig)
    config = configs[0]
    targets = Targets(requests, workspace, ("conv10", "logits"))
    classes_B = torch.tensor([config.target for config in configs], device=workspace.device)
    mean_1311 = targets.tensor(GREY.array)
    objective = targets.objective(
        tv_term(targets.vector([config.tv_weight for config in configs])),
        reward_term("conv10", partial(class_score, targets_B=classes_B), targets.vector([1.0] * len(configs))),
        reward_term(
            None,
            partial(squared_distance_to_mean, mean=mean_1311),
            targets.vector([-config.l2_weight for config in configs]),
        ),
    )
    start = [(GREY, config.noise, config.seed) for config in configs]
    made = Ascent(targets, start, lambda _: objective, config.step_size, config.jitter).run(on_step)
    return [_classified(result, targets, config) for result, config in zip(made, configs, strict=True)]


def _classified(made: Stylized, targets: Targets, config: ClassVisualisationConfig) -> Stylized:
    """Return the result together with the class's name and its probability for the picture as saved."""
    if made.image is None:
        return made
    with torch.no_grad():
        logits = extract(targets.backbone, targets.tensor(made.image), config.precision)["logits"].flatten()
    probability = float(logits.double().softmax(0)[config.target])
    name = None if config.backbone.weights == "random" else class_names()[config.target]
    return replace(made, report={"class_name": name, "class_probability": probability})


def class_names() -> list[str]:
    """Return the names of the classes of ImageNet 2012, in the order of torchvision's classifiers.

    Example:
        >>> class_names()[130]
        'flamingo'
    """
    from torchvision.models import SqueezeNet1_1_Weights

    return list(SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"])


def refusal(request: Request) -> NstError | None:
    """Return an error for a request whose picture is too small for the classifier, or None."""
    config = request.config
    assert isinstance(config, ClassVisualisationConfig)
    width, height, _ = plan_levels(request)[0]
    return too_thin("new", (width, height), ("logits",), config.backbone)
