"""Settings of Li & Wand 2016 (Markovian generative adversarial networks)."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Pixels, Weight
from nst.config.training.settings import Training


class MganTraining(Training):
    """Li & Wand 2016: a decoder of features for one style, learned in a game with a critic of neural patches.

    `style_loss` is the adversarial loss.
    """

    BETA1: ClassVar[float] = 0.5
    """First moment of Adam, for network and critic: 0.5 in chuanli11/MGANs."""

    family: Literal["mgan"] = "mgan"

    size: Pixels = 256
    """128, cut from pictures of 384, in chuanli11/MGANs; 256 as in all other families."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """As many pixels as 64 squares of 128 x 128 in chuanli11/MGANs."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    """Ours: 5 epochs over the squares of a hundred optimised pictures in chuanli11/MGANs, some thousand steps; here the
    network finds out by itself what those showed it."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """As `johnson`; 0.02 in chuanli11/MGANs, with batch norm in network and critic."""

    critic_rate: Annotated[float, Field(gt=0, le=100)] = 0.05
    """Learning rate of the critic over that of the network; 1 in chuanli11/MGANs, with batch norm. Own trials with
    Starry Night, relu3_1 and 4 squares of 64 to 72 pixels: after 50 steps the adversarial loss is 3.4 with 1, 2.1 with
    0.2, and 1.2 with 0.05, where the critic's own is 1.8 of 2."""

    layer: Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"] = "relu3_1"
    """Where the encoder ends, and where the content is compared. relu4_1 in chuanli11/MGANs, whose network is shown
    pictures that keep relu5_1; in own trials without such pictures relu4_1 still paints blocks after 150 small steps,
    when relu3_1 already draws, and it is slower."""

    style_layers: LayerWeights = dict.fromkeys(("relu3_1",), 1.0)
    """Layers whose patches of 3 x 3 are criticised, by a critic each: relu3_1 in chuanli11/MGANs."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units. For it, chuanli11/MGANs has pixels (1) of optimised pictures."""

    style_weight: Weight = 1.0
    """Weight of the adversarial loss, which is 1 while the critic cannot tell; 0.01 beside those pixels in
    chuanli11/MGANs."""

    tv_weight: Weight = 0.01
    """Weight of the total variation of the output in [0, 1], as `johnson`; 1e-4 in other units in chuanli11/MGANs."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19", padding="reflect")
    """VGG-19, as in the paper. With reflection padding a critic cannot tell patches by the borders of their pictures,
    which chuanli11/MGANs leaves out."""
