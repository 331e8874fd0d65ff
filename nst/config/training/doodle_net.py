"""Settings of the family `doodle_net` (DmitryUlyanov/online-neural-doodle), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import AveragingBackbone, BackboneConfig
from nst.config.fields import LayerWeights, Weight
from nst.config.training.settings import DecayConfig, Filters, Training


class DoodleNetTraining(Training):
    """Doodles in one pass: any mask is painted like one painting with its mask (DmitryUlyanov/online-neural-doodle)."""

    PAINTS: ClassVar[Literal["photographs", "masks"]] = "masks"

    family: Literal["doodle_net"] = "doodle_net"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Number of random masks in a step (4 in online-neural-doodle)."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 5000
    """Number of steps of Adam (5,000 in online-neural-doodle)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-2
    """Learning rate of Adam; the default is that of `texture_net` (1e-1 in online-neural-doodle, whose loss is in other
    units)."""

    decay: DecayConfig = DecayConfig(name="step", every=300)
    """How the learning rate falls (times 0.8 every 300 steps in online-neural-doodle)."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """Layers of the style loss with their weights (these five of VGG-19, equally, in online-neural-doodle)."""

    style_weight: Weight = 10.0
    """Weight of the style loss, region by region, in relative units."""

    tv_weight: Weight = 0.1
    """Weight of the total variation of the output in [0, 1]; the default is 1/100 of the style's weight, as in
    `doodle`. online-neural-doodle has no such term."""

    backbone: AveragingBackbone = BackboneConfig(name="vgg19", pooling="average")
    """Backbone that measures the pictures (VGG-19 with average pooling in online-neural-doodle)."""

    scales: Annotated[int, Field(ge=1, le=8)] = 6
    """Number of sizes in the pyramid of noise and masks, each half of the next (6 in online-neural-doodle, whose
    network goes down and up through them with skip connections)."""

    width: Filters = 8
    """Number of filters that each scale adds; the default is that of `texture_net`."""

    norm: Literal["instance", "batch"] = "instance"
    """Norm after each convolution (`batch` in online-neural-doodle). In an own trial (a painting by Monet at 96 pixels,
    140 steps with batches of 2) `instance` came to a loss of 2.2 on masks not seen in training, `batch` to 3.4."""

    padding: Literal["reflect", "zeros", "circular"] = "reflect"
    """Padding of every convolution. Unlike in `texture_net` the default is not `circular`, since masks do not tile."""
