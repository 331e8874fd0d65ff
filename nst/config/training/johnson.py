"""Settings of Johnson, Alahi & Fei-Fei 2016."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights
from nst.config.training.settings import Filters, Training


class JohnsonTraining(Training):
    """Johnson, Alahi & Fei-Fei 2016 with the instance norm of Ulyanov et al. 2016: one style, one pass."""

    family: Literal["johnson"] = "johnson"

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """relu3_3 of VGG-16 in jcjohnson/fast-neural-style."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """These of VGG-16, equally, in Johnson et al. 2016 section 4.1."""

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """VGG-16 in Johnson et al. 2016 section 3.2."""

    width: Filters = 32
    """Filters of the outermost convolutions; 32 in the paper, 16 in the instance norm models of its authors."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Blocks of two convolutions in the middle; 5 in the paper."""

    norm: Literal["instance", "batch"] = "instance"
    """`instance` (Ulyanov et al. 2016), `batch` as in the paper."""

    upsampling: Literal["nearest", "transposed"] = "nearest"
    """`nearest` and a convolution (pytorch/examples), which leaves no checkerboards; `transposed` as in the paper."""

    padding: Literal["reflect", "zeros"] = "reflect"
    """Of every convolution; `reflect` in pytorch/examples, `zeros` in the paper."""
