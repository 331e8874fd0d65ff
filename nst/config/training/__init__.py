"""Settings of the training of feed-forward networks, in one tagged union over `family`. Never imports torch.

The identity of a training is made of its family with the declared version, the settings outside `NOT_PIXELS`, and the
digests of the style images, of the photographs and of the backbone's weights. Weights of losses are in relative units
(`nst.losses.units`): on every backbone they mean what they mean in `gatys`.
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
from nst.config.training.student import StudentTraining
from nst.config.training.super_resolution import SuperResolutionTraining
from nst.config.training.texture_net import TextureNetTraining
from nst.errors import InputError

__all__ = [
    "TRAINING_CONFIGS",
    "AdainTraining",
    "ConditionalTraining",
    "DecayConfig",
    "DoodleNetTraining",
    "JohnsonTraining",
    "MganTraining",
    "StudentTraining",
    "SuperResolutionTraining",
    "TextureNetTraining",
    "Training",
    "TrainingConfig",
    "refuse_to_finish",
    "refuse_to_paint",
]

TrainingConfig = Annotated[
    AdainTraining
    | ConditionalTraining
    | JohnsonTraining
    | TextureNetTraining
    | MganTraining
    | DoodleNetTraining
    | SuperResolutionTraining
    | StudentTraining,
    Field(discriminator="family"),
]
"""The tagged union over `family`. Where several families have a setting of one name, the catalog describes its column
in the words of the first of them."""

TRAINING_CONFIGS: Final[dict[str, type[Training]]] = variants(TrainingConfig, "family")
"""The class of every family's settings, by the family's name."""


def refuse_to_paint(family: str) -> None:
    """Refuse to make pictures with the networks of a family that measure pictures instead.

    Raises:
        InputError: The networks of the family make no pictures.
    """
    if TRAINING_CONFIGS[family].MAKES == "backbone":
        found = f"a {family} network measures pictures and makes none"
        raise InputError(found, hint="name its file as backbone.weights of a method that optimises pictures")


def refuse_to_finish(family: str) -> None:
    """Refuse to put the networks of a family over finished pictures: these have no style beside them, and no mask.

    Raises:
        InputError: The networks of the family need more than a picture, or make none.
    """
    refuse_to_paint(family)
    hint = "choose a super_resolution network, or one of a single style"
    if TRAINING_CONFIGS[family].PAINTS == "masks":
        raise InputError(f"networks of the family {family} paint masks, and a finish gives them a picture", hint=hint)
    if TRAINING_CONFIGS[family].KNOWS not in {"none", "one"}:
        raise InputError(
            f"networks of the family {family} need a style with each picture, and a finish gives them none", hint=hint
        )
