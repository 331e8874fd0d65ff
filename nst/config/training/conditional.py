"""Settings of the family `conditional` (Dumoulin, Shlens & Kudlur 2017), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, SteadyWeight
from nst.config.training.settings import Filters, Training


class ConditionalTraining(Training):
    """Many styles in one network, with a row of norm parameters for each (Dumoulin, Shlens & Kudlur 2017)."""

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "many"

    family: Literal["conditional"] = "conditional"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Number of photographs in a step, each with a style drawn at random (16 in the paper's appendix and in
    magenta's image_stylization)."""

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """Layers of the content loss with their weights (the last layer of block 3 of VGG-16 in magenta's
    image_stylization)."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """Layers of the style loss with their weights (the last layers of blocks 1 to 4 of VGG-16, equally, in magenta's
    image_stylization)."""

    temporal_weight: SteadyWeight = 0.0

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """Backbone that measures the pictures (VGG-16 in the paper)."""

    width: Filters = 32
    """Number of filters of the outermost convolutions (32 in the paper's appendix)."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Number of residual blocks of two convolutions in the middle (5 in the paper's appendix)."""

    only_rows: bool = False
    """Whether only the norm parameters of the styles are learned and all other weights stay those of the parent model:
    this adds styles to a trained network (the paper's section 3.3)."""

    def fault(self, *, has_parent: bool) -> str:
        """Return an error where `only_rows` has no parent model whose other weights could stay, else ""."""
        return "" if has_parent or not self.only_rows else "only_rows needs a parent, whose network stays as it is"
