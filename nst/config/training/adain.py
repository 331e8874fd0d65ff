"""Settings of the family `adain` (Huang & Belongie 2017), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import EncoderLayer, LayerWeights, SteadyWeight, Weight
from nst.config.training.settings import DecayConfig, Training


class AdainTraining(Training):
    """Any style: a decoder of features whose channel means and deviations were exchanged (Huang & Belongie 2017)."""

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "any"

    family: Literal["adain"] = "adain"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 8
    """Number of photographs in a step, each paired with a style (8 in the paper's section 6.1)."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 160_000
    """Number of steps of Adam (160,000 in naoto0804/pytorch-AdaIN)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    """Learning rate of Adam (1e-4, with 160,000 steps, in naoto0804/pytorch-AdaIN). For short trainings, own trials
    with 80 pixels and batches of 4 suggest 3e-4 after a `warmup` of 100 steps; 1e-3 explodes without a warm-up. 4,000
    such steps made a usable decoder with `layer: relu3_1`; 400 steps with relu4_1 were far from one."""

    decay: DecayConfig = DecayConfig(name="inverse")
    """How the learning rate falls (divided by 1 + 5e-5 times the step in naoto0804/pytorch-AdaIN)."""

    layer: EncoderLayer = "relu4_1"
    """Layer at which the encoder ends and the statistics are exchanged (relu4_1 in the paper's section 6)."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 1.0)
    """Layers whose means and deviations the style loss compares, with their weights (these four, each with weight 1, in
    the paper's eq. 13)."""

    style_weight: Weight = 10.0
    """Weight of the style loss, in relative units (10 in naoto0804/pytorch-AdaIN, against 1 for the content loss, which
    compares with the exchanged features)."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the output in [0, 1]. The paper has no such term."""

    temporal_weight: SteadyWeight = 0.0

    backbone: BackboneConfig = BackboneConfig(name="vgg19", padding="reflect")
    """Backbone that encodes the pictures and measures them (VGG-19 with reflection padding in
    xunhuang1995/AdaIN-style)."""
