"""Settings of Dumoulin, Shlens & Kudlur 2017."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights
from nst.config.training.settings import Filters, Training


class ConditionalTraining(Training):
    """Dumoulin, Shlens & Kudlur 2017: many styles in one network, a row of norm parameters each."""

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "many"

    family: Literal["conditional"] = "conditional"

    batch_size: Annotated[int, Field(ge=1, le=256)] = 16
    """Photographs in a step, each with a style drawn at random; 16 in the paper's appendix and in magenta."""

    content_layers: LayerWeights = dict.fromkeys(("relu3_3",), 1.0)
    """The last of block 3 of VGG-16 in magenta's image_stylization."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 0.25)
    """The last of blocks 1 to 4 of VGG-16, equally, in magenta's image_stylization."""

    backbone: BackboneConfig = BackboneConfig(name="vgg16")
    """VGG-16 in the paper."""

    width: Filters = 32
    """Filters of the outermost convolutions; 32 in the paper's appendix."""

    residual_blocks: Annotated[int, Field(ge=0, le=32)] = 5
    """Blocks of two convolutions in the middle; 5 in the paper's appendix."""

    only_rows: bool = False
    """Learn only the norm parameters of the styles, everything else staying as it was loaded: adds styles to a trained
    network (the paper's section 3.3)."""

    def fault(self, *, has_parent: bool) -> str:
        """Return an error where only rows are learned of a network that does not exist yet."""
        return "" if has_parent or not self.only_rows else "only_rows needs a parent, whose network stays as it is"
