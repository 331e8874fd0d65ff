"""Settings of Champandard 2016 and of DmitryUlyanov/fast-neural-doodle. Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Noise, Pixels, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig

_OF_PATCHES: Final = {"style_layers": ["relu3_1", "relu4_1"], "style_weight": 3.0, "tv_weight": 3.0}
"""Defaults that are others with `how: patches`."""


class DoodleConfig(PixelMethod):
    """A painting from a doodle: each colour of a mask is painted like the same colour of the style's mask."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"content_weight", "style_weight", "tv_weight", "noise", "seed"})

    name: Literal["doodle"] = "doodle"

    how: Literal["gram", "patches"] = "gram"
    """`gram`: Gram matrices region by region (DmitryUlyanov/fast-neural-doodle); `patches`: patches of features matched
    together with the patch of the mask (Champandard 2016), slower, and closer to the style's own forms."""

    size: Pixels = 512
    """Pixels of the side that `resize` names; 512 in the examples of both."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image, or of the mask without one, becomes `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Size of the style images over that of the picture, by their long sides."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights, for contents with a picture; conv4_2 in alexjc/neural-doodle."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 0.25)
    """Layers of the style with their weights; relu3_1 and relu4_1 equally with `how: patches`, as in
    alexjc/neural-doodle (there before the ReLU)."""

    semantic_weight: Annotated[float, Field(ge=0, le=1e6)] = 10.0
    """Weight of the mask beside the features when `patches` are matched; 10 in alexjc/neural-doodle, 0 is `mrf`."""

    patch_size: Annotated[int, Field(ge=1, le=16)] = 3
    """Side of a patch in feature positions; 3 in the paper."""

    stride: Annotated[int, Field(ge=1, le=16)] = 2
    """Step between neighbouring patches; 1 in alexjc/neural-doodle, at about 16 times the cost."""

    content_weight: Weight = 1.0
    """Weight of the content loss, relative to the energy of the content's features; nothing without a picture."""

    style_weight: Weight = 100.0
    """Weight of the style loss, relative to the energy of the style's Gram matrices; or of its patches, then 3 unless
    told otherwise (own trials)."""

    tv_weight: Weight = 1.0
    """Weight of the squared gradient of the picture in [0, 1]; 3 with `how: patches`, which see less of the noise."""

    init: Literal["noise", "content"] = "noise"
    """What the picture starts from; noise in both."""

    noise: Noise = 0.02
    """Share of noise in the grey picture of `init: noise`, as in `texture`. Of much noise a part stays: from noise
    alone, as in alexjc/neural-doodle, Monet's cliffs by `gram` at 96 px ended with nearly three times the squared
    gradient, and a higher loss."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 100
    """Evaluations of the loss and its gradient at each level; 100 in alexjc/neural-doodle and at the last level of
    DmitryUlyanov/fast-neural-doodle."""

    optimizer: OptimizerConfig = LbfgsConfig()
    pyramid: PyramidConfig = PyramidConfig(levels=3)
    """Three sizes, each half of the next, in alexjc/neural-doodle."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def masks(self) -> Literal["needed"]:
        """Whether it looks at masks."""
        return "needed"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_patches(cls, value: Any) -> Any:
        return {**_OF_PATCHES, **value} if isinstance(value, dict) and value.get("how") == "patches" else value
