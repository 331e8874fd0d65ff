"""The lesson of `mgan`: a network learns to paint patches that a critic takes for those of the style.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import nn

from nst.config.architectures import least_side
from nst.errors import UserError
from nst.losses.adversarial import Duel
from nst.losses.objective import Term
from nst.losses.terms import content_terms, pixel_term
from nst.networks import Origin
from nst.networks.adain import moments
from nst.networks.mgan import MganNet, PatchCritic
from nst.pictures.images import resize_to, rotate, style_size
from nst.training.deconvolution import Deconvolution
from nst.training.lessons.lesson import Learner, Lesson
from nst.training.sampler import random_crop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.training import MganTraining, Training
    from nst.losses.objective import Objective
    from nst.training.lessons.lesson import Syllabus
    from nst.workspace import Workspace

TURN: Final = 10.0
"""Largest turn of the style in degrees (pi / 18 in chuanli11/MGANs `code/train.lua`)."""

GROWTH: Final = 1.1
"""Largest factor by which the style is enlarged or shrunk (1.1 in chuanli11/MGANs `code/train.lua`)."""


class MarkovianLesson(Lesson):
    """Pictures that keep a photograph's features and whose neural patches a critic takes for those of the style.

    In two stages, they keep the pixels of a picture that was optimised for the photograph instead.

    The critic learns too: `nst.losses.adversarial.Duel` is the loss of both players. Squares are cut from the style at
    random places, slightly turned and scaled, and mirrored half of the time.

    Source:
        Li & Wand 2016, section 3, and chuanli11/MGANs `code/train.lua`. Theirs first optimises a hundred pictures
        against a critic; the network then learns their pixels, against a second critic that is shown those pictures as
        real. Differs: without `deconvolution` there is one stage: the network learns from photographs at once, and the
        content is compared where the encoder ends. In both ways the real patches are the style's own. The content loss
        is in relative units (`nst.losses.units`); the adversarial loss is 1 while the critic cannot tell real patches
        from painted ones.
    """

    config: MganTraining
    network: MganNet

    def __init__(self, config: Training, syllabus: Syllabus, workspace: Workspace) -> None:
        super().__init__(config, syllabus, workspace)
        config = self.config
        layers = frozenset((config.layer, *config.style_layers))
        self.backbone = workspace.backbone(config.backbone, layers, self.dtype)
        self.network = MganNet.from_training(config, Origin(encoder=self.backbone))
        (style,) = syllabus.styles
        self.style = resize_to(style.array, *style_size(style, config.size * config.style_scale))
        self.side = min(config.size, *_varied(self.style, -1.0, 1.0).shape[:2])
        least = max(least_side(config.backbone.name, layer, 3) for layer in config.style_layers)
        if self.side < least:
            found = f"squares of {self.side} pixels hold no patch of {', '.join(config.style_layers)}"
            raise UserError(f"{found}: expected {least} at least", hint="raise size or style_scale")
        features = self.features(self.style[None])
        self.critic = nn.ModuleDict({layer: PatchCritic(*moments(features[layer])) for layer in config.style_layers})
        self.critic.to(self.device, self.dtype)
        self.deconvolution = Deconvolution(config, self.backbone, features) if config.deconvolution else None
        self.undecided = config.style_weight * sum(config.style_layers.values())

    def learners(self) -> dict[str, Learner]:
        """Return the network and its critic."""
        critic = Learner(self.critic, list(self.critic.parameters()), self.config.critic_rate)
        return {**super().learners(), "critic": critic}

    def __call__(
        self, photographs_B3HW: Tensor | None, styles: Sequence[int], seeds: Sequence[int], *, whole: bool = False
    ) -> tuple[Tensor, Objective]:
        """Return pictures that the network makes and the objective that measures them, as `Lesson` says."""
        del styles  # there is only one
        assert photographs_B3HW is not None
        config, network = self.config, self.network
        squares = [self.style if whole else style_square(self.style, self.side, seed) for seed in seeds]
        real = self.features(np.stack(squares))
        with torch.no_grad(), self.autocast():
            encoded_BCHW = network.encode(photographs_B3HW)
        with self.autocast():
            decoded_B3HW = network.decode(encoded_BCHW)
        outputs_B3HW = decoded_B3HW.to(self.dtype)
        ones_B = torch.ones_like(outputs_B3HW[:, 0, 0, 0])
        if self.deconvolution:
            terms = [pixel_term(self.deconvolution(photographs_B3HW), config.content_weight * ones_B)]
        else:
            encoded: dict[str, Tensor] = {config.layer: encoded_BCHW.to(self.dtype)}
            terms = content_terms(encoded, {config.layer: 1.0}, config.content_weight * ones_B)
        for layer, share in config.style_layers.items():
            duel = Duel(self.critic[layer], real[layer])
            terms.append(Term("style", layer, duel, "positions", share, share * config.style_weight * ones_B))
        return outputs_B3HW, self.objective(outputs_B3HW, terms)


def style_square(style: np.ndarray, side: int, seed: int) -> np.ndarray:
    """Return a square of a style image, HWC uint8; the seed draws its place, turn and scale and whether it is mirrored.

    Args:
        style: HWC uint8, large enough that the square fits at every turn and scale.
        side: Side of the square in pixels.
        seed: Seed of all draws.
    """
    random = np.random.default_rng(seed)
    varied = _varied(style, *random.uniform(-1.0, 1.0, 2))
    return random_crop(varied[:, ::-1] if random.random() < 0.5 else varied, side, seed)


def _varied(style: np.ndarray, growth: float, turn: float) -> np.ndarray:
    """Return the style scaled and turned; `growth` and `turn` in [-1, 1] are shares of the largest change."""
    rows, columns = (math.ceil(length * GROWTH**growth) for length in style.shape[:2])
    return rotate(resize_to(style, columns, rows), turn * TURN)
