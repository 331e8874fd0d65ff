"""Settings of the family `super_resolution` (Johnson, Alahi & Fei-Fei 2016, section 4.2), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Pixels, Weight
from nst.config.training.settings import Filters, Training


class SuperResolutionTraining(Training):
    """Enlarged photographs in one pass, without a style (Johnson, Alahi & Fei-Fei 2016, section 4.2).

    The network sees photographs that were blurred (a Gaussian window, sigma 1) and shrunk by `factor` (bicubic), and
    learns to give back their features. Its pictures have the histograms of what it was given.
    """

    KNOWS: ClassVar[Literal["none", "one", "many", "any"]] = "none"

    family: Literal["super_resolution"] = "super_resolution"

    factor: Literal[2, 4, 8] = 4
    """Width of the picture divided by the width of the photograph that the network is given (4 and 8 in the paper)."""

    size: Pixels = 288
    """Width and height in pixels of the squares of photographs, before they are shrunk, that the network learns from
    (288 in the paper); a multiple of `factor`."""

    photograph_scale: Annotated[float, Field(ge=1, le=4)] = 1.5
    """Short side of the prepared photographs divided by `size`; each step cuts squares at random places (the
    photographs of the paper, mostly 480 pixels high, come to 1.67)."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 200_000
    """Number of steps of Adam (200,000 in the paper, with 10,000 photographs)."""

    content_layers: LayerWeights = dict.fromkeys(("relu2_2",), 1.0)
    """Layers of the content loss, between the picture and the photograph before it was shrunk, with their weights
    (relu2_2 of VGG-16 in the paper)."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units. It is the only loss in the paper, so that its weight has no effect
    without a `tv_weight`."""

    style_weight: Weight = 0.0
    """Without effect: the network learns no style."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Without effect: the network learns no style."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the output in [0, 1] (none in the paper's section 4.2)."""

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """Backbone that measures the pictures (VGG-16 in the paper)."""

    width: Filters = 64
    """Number of filters of every convolution but the last (64 in the paper's supplement)."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 4
    """Number of residual blocks of two convolutions, before the picture is enlarged (4 in the paper's supplement)."""

    norm: Literal["batch", "instance"] = "batch"
    """Norm after each convolution: `batch` (the paper), or `instance`, which takes the contrast of every picture away
    and leaves it to the histograms to give it back."""

    upsampling: Literal["nearest", "transposed"] = "nearest"
    """How the network enlarges feature maps: `nearest`, by repeating values before a convolution, which leaves no
    checkerboards, or `transposed`, by transposed convolutions (the paper)."""

    @model_validator(mode="after")
    def _size_can_be_shrunk(self) -> Self:
        if self.size % self.factor:
            raise ValueError(f"size is {self.size}; expected a multiple of factor, {self.factor}")
        return self
