"""Settings of the training of feed-forward networks. Every default stands beside its source.

A training's identity is its family with its declared version, the settings outside `NOT_PIXELS`, the digests of the
style images, of the photographs and of the backbone's weights. Weights of losses are in relative units
(`nst.losses.units`): they mean what they mean in `gatys`, on every backbone.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from nst.config.block import variants
from nst.config.training.adain import AdainTraining
from nst.config.training.conditional import ConditionalTraining
from nst.config.training.doodle_net import DoodleNetTraining
from nst.config.training.johnson import JohnsonTraining
from nst.config.training.mgan import MganTraining
from nst.config.training.settings import DecayConfig, Training
from nst.config.training.texture_net import TextureNetTraining

__all__ = [
    "TRAINING_CONFIGS",
    "AdainTraining",
    "ConditionalTraining",
    "DecayConfig",
    "DoodleNetTraining",
    "JohnsonTraining",
    "MganTraining",
    "TextureNetTraining",
    "Training",
    "TrainingConfig",
]

TrainingConfig = Annotated[
    AdainTraining | ConditionalTraining | JohnsonTraining | TextureNetTraining | MganTraining | DoodleNetTraining,
    Field(discriminator="family"),
]
"""The tagged union over `family`. A setting that several families have is described in the words of the first."""

TRAINING_CONFIGS: Final[dict[str, type[Training]]] = variants(TrainingConfig, "family")
"""Families of networks by name."""
