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

    critic_rate: Annotated[float, Field(gt=0, le=100)] = 0.02
    """Learning rate of the critic over that of the network; 1 in chuanli11/MGANs, with batch norm. Own trials with
    Starry Night at 64 pixels: with 1 and 0.1 the critic tells all patches within 20 steps, and the adversarial loss
    stays at 7 and 2.5; with 0.02 it is 1.1 after 150 steps, and the critic's own 1.5 of 2."""

    layer: Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"] = "relu4_1"
    """Where the encoder ends, and where the content is compared. relu4_1 is what the network decodes in
    chuanli11/MGANs, whose optimised pictures keep relu5_1; relu3_1 keeps more of the photograph and is faster."""

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
