"""Settings of the family `johnson` (Johnson, Alahi & Fei-Fei 2016), with their sources."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, SteadyWeight
from nst.config.training.settings import Filters, Training


class JohnsonTraining(Training):
    """One style in one pass (Johnson, Alahi & Fei-Fei 2016), with the instance norm of Ulyanov et al. 2016."""

    family: Literal["johnson"] = "johnson"

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """Layers of the content loss with their weights (relu3_3 of VGG-16 in jcjohnson/fast-neural-style)."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """Layers of the style loss with their weights (these four of VGG-16, equally, in Johnson et al. 2016 section
    4.1)."""

    temporal_weight: SteadyWeight = 0.0

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """Backbone that measures the pictures (VGG-16 in Johnson et al. 2016 section 3.2)."""

    width: Filters = 32
    """Number of filters of the outermost convolutions (32 in the paper, 16 in its authors' models with instance
    norm)."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Number of residual blocks of two convolutions in the middle (5 in the paper)."""

    norm: Literal["instance", "batch"] = "instance"
    """Norm after each convolution: `instance` (Ulyanov et al. 2016) or `batch` (the paper)."""

    upsampling: Literal["nearest", "transposed"] = "nearest"
    """How the network enlarges feature maps: `nearest`, by repeating values before a convolution (pytorch/examples),
    which leaves no checkerboards, or `transposed`, by transposed convolutions (the paper)."""

    padding: Literal["reflect", "zeros"] = "reflect"
    """Padding of every convolution (`reflect` in pytorch/examples, `zeros` in the paper)."""
