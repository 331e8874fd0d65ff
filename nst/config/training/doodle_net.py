"""Settings of feed-forward doodles (DmitryUlyanov/online-neural-doodle). Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import AveragingBackbone, BackboneConfig
from nst.config.fields import LayerWeights, Weight
from nst.config.training.settings import DecayConfig, Filters, Training


class DoodleNetTraining(Training):
    """Feed-forward doodles (Ulyanov 2016): a network that paints any mask of colours like one painting with its own."""

    PAINTS: ClassVar[Literal["photographs", "masks"]] = "masks"

    family: Literal["doodle_net"] = "doodle_net"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Random masks in a step; 4 in online-neural-doodle."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 5000
    """5,000 in online-neural-doodle."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-2
    """1e-2 as of `texture_net`; 1e-1 in online-neural-doodle, whose loss is in other units."""

    decay: DecayConfig = DecayConfig(name="step", every=300)
    """Times 0.8 every 300 steps in online-neural-doodle."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """These of VGG-19, equally, in online-neural-doodle."""

    style_weight: Weight = 10.0
    """Weight of the style loss, region by region, in relative units."""

    tv_weight: Weight = 0.1
    """Weight of the total variation: the share of `doodle`, 1 of 100. None in online-neural-doodle."""

    backbone: AveragingBackbone = BackboneConfig(name="vgg19", pooling="average")
    """VGG-19 with average pooling in online-neural-doodle."""

    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Sizes of the pyramid of noise and masks, each half the next; 6 as of `texture_net`, and in online-neural-doodle,
    which goes down and up through them with skip connections."""

    width: Filters = 8
    """Filters that each scale adds; 8 as of `texture_net`."""

    norm: Literal["instance", "batch"] = "instance"
    """`batch` in online-neural-doodle. Own trial (Monet at 96 pixels, 140 steps of 2): on masks that it had not seen
    `instance` came to a loss of 2.2, `batch` to 3.4."""

    padding: Literal["reflect", "zeros", "circular"] = "reflect"
    """Of every convolution; masks do not tile."""
