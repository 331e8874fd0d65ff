"""Settings of Huang & Belongie 2017."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Weight
from nst.config.training.settings import DecayConfig, Training


class AdainTraining(Training):
    """Huang & Belongie 2017: a decoder of features whose channel means and deviations were replaced by a style's."""

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "any"

    family: Literal["adain"] = "adain"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 8
    """8 pairs of photograph and style in the paper's section 6.1."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 160_000
    """160,000 in naoto0804/pytorch-AdaIN."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-4
    """1e-4 in pytorch-AdaIN, with 160,000 steps. Own trials for short trainings (80 pixels, batches of 4): 3e-4 after a
    `warmup` of 100 steps; 1e-3 explodes without one. With `layer: relu3_1` 4,000 such steps make a usable decoder, with
    relu4_1 400 were far from one."""

    decay: DecayConfig = DecayConfig(name="inverse")
    """Divided by 1 + 5e-5 times the step in pytorch-AdaIN."""

    layer: Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"] = "relu4_1"
    """Where the encoder ends and statistics are exchanged; relu4_1 in the paper's section 6."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 1.0)
    """Layers whose means and deviations are compared, weighted 1 each: the paper's eq. 13."""

    style_weight: Weight = 10.0
    """Over the content loss against the exchanged features; 10 in pytorch-AdaIN. Relative units: both losses are
    divided by the energy of their targets."""

    tv_weight: Weight = 0.0
    """None in the paper."""

    backbone: BackboneConfig = BackboneConfig(name="vgg19", padding="reflect")
    """The encoder: VGG-19 with reflection padding, as in xunhuang1995/AdaIN-style."""
