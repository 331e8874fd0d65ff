"""Settings of Kolkin et al. 2022. Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.block import NamedBlock
from nst.config.fields import LayerWeights, Needs, Pixels, Precision, Steps, TraceEvery, Weight
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig

_LAYERS = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1", "4_2", "4_3")


class NnstConfig(NamedBlock):
    """Neural neighbours: every place takes the style's features that are nearest to the content's."""

    VERSION: ClassVar[int] = 1
    """Declared version of the method: raised when its pixels change, so that old cells are computed anew."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"content_share", "tv_weight"})
    """Fields that may differ between the cells of one batch; all others are the batch's structure."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"trace_every"})
    """Fields that do not bear on the pixels and are no part of a cell's identity."""

    name: Literal["nnst"] = "nnst"

    size: Pixels = 512
    """Pixels of the side that `resize` names; 512 in nkolkin13/NeuralNeighborStyleTransfer."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Size of the style images over that of the picture, by their long sides; 1 in the authors' code."""

    style_layers: LayerWeights = dict.fromkeys([f"relu{layer}" for layer in _LAYERS], 1.0)
    """Layers that make a hypercolumn, with their factors; these ten, of VGG-16, in the paper."""

    turns: Annotated[int, Field(ge=0, le=3)] = 3
    """Copies of the style turned by 90, 180 and 270 degrees that are offered too; 3 in the authors' code. Each costs as
    much time and memory as the style itself."""

    content_share: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Share of the content's features in what neighbours are looked up for, the rest being the picture's own: more
    keeps more of the content; 0.75 in the authors' code (`alpha`)."""

    tv_weight: Weight = 0.0
    """Weight of the squared gradient of the picture in [0, 1]; the paper has none."""

    steps: Steps = 200
    """Evaluations of the loss and its gradient at each level; 200 in the authors' code."""

    optimizer: OptimizerConfig = LbfgsConfig()
    pyramid: PyramidConfig = PyramidConfig(levels=4)
    """Four sizes up to 512 pixels, each half of the next, in the authors' code."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset(("content", "style"))

    @property
    def side(self) -> int:
        """Pixels of the square that batches reckon with."""
        return self.size

    @property
    def pixels(self) -> float:
        """About how many pixels a picture has, its content being 4:3."""
        return self.size**2 * (0.75 if self.resize == "long" else 4 / 3)
