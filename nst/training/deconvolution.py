"""The first stage of an `mgan` in two: the picture that `mdan` makes of each photograph. Knows no network in training.

Shape letters: B pictures, C channels, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from nst.config.optimizer import AdamConfig
from nst.losses.adversarial import BETAS, Contest, Game, contest_terms
from nst.losses.objective import extract
from nst.losses.terms import content_terms, tv_term
from nst.networks.mgan import critics_of
from nst.ops import to_arrays, to_bytes
from nst.optimize.loop import BatchAdam, optimize_images
from nst.optimize.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from torch import Tensor

    from nst.backbones import Backbone
    from nst.config.training import MganTraining


class Deconvolution:
    """Makes pictures of photographs as the method `mdan` does, each alone and once, and keeps them.

    A picture follows from the settings, the style and the photograph, whatever was made before: a training that is
    resumed makes it again.

    Args:
        config: Settings of the training, with a `deconvolution`.
        backbone: Returns the features at `config.layer` and `config.style_layers`.
        real: Features of the style image by layer, shape (1, C, H, W) each.

    Source:
        Li & Wand 2016, section 3 (MDAN); chuanli11/MGANs. Differs: as `nst.methods.mdan`; one critic for each
        photograph, where chuanli11/MGANs goes on with that of the photograph before.
    """

    def __init__(self, config: MganTraining, backbone: Backbone, real: Mapping[str, Tensor]) -> None:
        assert config.deconvolution is not None
        self.config, self.settings, self.backbone = config, config.deconvolution, backbone
        self.real = {layer: real[layer] for layer in config.style_layers}
        self.pictures: dict[bytes, np.ndarray] = {}

    def __call__(self, photographs_B3HW: Tensor) -> Tensor:
        """Return the picture of each photograph, RGB in [0, 1], shape (B, 3, H, W)."""
        made = []
        for photograph_3HW in photographs_B3HW:
            key = to_arrays(to_bytes(photograph_3HW[None]))[0].tobytes()
            if key not in self.pictures:
                self.pictures[key] = self._make(photograph_3HW[None])
            made.append(torch.from_numpy(self.pictures[key]))
        return torch.stack(made).to(photographs_B3HW).permute(0, 3, 1, 2) / 255.0

    def _make(self, photograph_13HW: Tensor) -> np.ndarray:
        config, settings = self.config, self.settings
        critics = critics_of([self.real], config.seed)
        contests = {layer: Contest([critics[layer]], [[self.real[layer]]], [[1.0]]) for layer in critics}
        one_1 = torch.ones_like(photograph_13HW[:, 0, 0, 0])
        with torch.no_grad():
            features = extract(self.backbone, photograph_13HW, config.precision)
        terms = (
            *content_terms(features, {config.layer: 1.0}, settings.content_weight * one_1),
            *contest_terms(contests, config.style_layers, settings.style_weight * one_1),
            tv_term(settings.tv_weight * one_1),
        )
        parameters = [parameter for contest in contests.values() for parameter in contest.parameters()]
        moves = torch.optim.Adam(parameters, settings.critic_rate * settings.learning_rate, BETAS)
        game = Game(self.backbone, terms, config.precision, critics=moves)
        adam = BatchAdam(
            photograph_13HW,
            AdamConfig(learning_rate=settings.learning_rate, beta1=BETAS[0], beta2=BETAS[1]),
            (0.0, 1.0),
        )
        with torch.enable_grad():
            made_13HW = optimize_images(adam, game.with_gradient, steps=settings.steps, trace=Trace(), trace_every=0)
        picture: np.ndarray = to_arrays(to_bytes(made_13HW))[0]
        return picture
