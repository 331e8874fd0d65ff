"""Settings of neural doodles (Champandard 2016 and DmitryUlyanov/fast-neural-doodle), with their sources."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import Color, LayerWeights, Noise, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.layers import standing_for
from nst.config.method import PixelMethod
from nst.config.optimizer import EarlyStop, LbfgsConfig, OptimizerConfig, PyramidConfig
from nst.config.start import FromContentOrNoise, Size
from nst.config.video import PixelVideoConfig, TemporalWeight

_PATCH_LAYERS: Final = {"relu3_1": 0.5, "relu4_1": 0.5}
_PATCH_DEFAULTS: Final = {"style_weight": 3.0, "tv_weight": 3.0}
"""The defaults that change with `how: patches`."""


class DoodleConfig(PixelMethod):
    """A painting from a doodle: each colour of the content's mask is painted like that colour of the style's mask.

    Source:
        Champandard 2016; DmitryUlyanov/fast-neural-doodle.
    """

    CARRIES_DETAIL: ClassVar[bool] = True

    VARIES: ClassVar[frozenset[str]] = frozenset(
        {"content_weight", "style_weight", "tv_weight", "temporal_weight", "noise", "seed"}
    )

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("seed", unless={"init": ("noise",)}),
        NoEffect("noise", unless={"init": ("noise",)}),
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("semantic_weight", {"how": ("gram",)}),
        NoEffect("patch_size", {"how": ("gram",)}),
        NoEffect("stride", {"how": ("gram",)}),
        NoEffect("pyramid.warm_start", {"optimizer.name": ("lbfgs",)}),
    )

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"early_stop", "color", "temporal_weight", "video"})

    name: Literal["doodle"] = "doodle"

    how: Literal["gram", "patches"] = "gram"
    """How the style is compared. `gram`: by Gram matrices, region by region (DmitryUlyanov/fast-neural-doodle).
    `patches`: by patches of features, matched together with the masks over the patches (Champandard 2016); slower, and
    closer to the style's own forms."""

    size: Size = 512
    """Length in pixels of the side that `resize` names (512 in the examples of alexjc/neural-doodle and of
    DmitryUlyanov/fast-neural-doodle); or `original`, the size of the content image, or of its mask where there is no
    image."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image, or of its mask where there is no image, is scaled to `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images divided by the long side of the picture."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights (conv4_2 in alexjc/neural-doodle). Without effect where the content
    is a mask without an image."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1"), 0.25)
    """Layers of the style loss with their weights. With `how: patches` the default is relu3_1 and relu4_1, equally, as
    in alexjc/neural-doodle (which takes them before the ReLU)."""

    semantic_weight: Annotated[float, Field(ge=0, le=1e6)] = 10.0
    """Weight of the masks against the features when `how: patches` matches patches (10 in alexjc/neural-doodle). 0
    ignores the masks, as `mrf` does."""

    patch_size: Annotated[int, Field(ge=1, le=16)] = 3
    """Side of a patch in positions of the feature map (3 in Li & Wand 2016 and in Champandard 2016)."""

    stride: Annotated[int, Field(ge=1, le=16)] = 2
    """Distance between neighbouring patches in positions of the feature map (1 in alexjc/neural-doodle, at about 16
    times the cost of 2)."""

    content_weight: Weight = 1.0
    """Weight of the content loss, relative to the energy of the content's features. Without effect where the content is
    a mask without an image."""

    style_weight: Weight = 100.0
    """Weight of the style loss, relative to the energy of the style's Gram matrices, or of its patches with
    `how: patches`; the default is then 3 (own trials)."""

    tv_weight: Weight = 1.0
    """Weight of the squared gradient of the picture in [0, 1]. With `how: patches` the default is 3, since patches see
    less of the noise."""

    init: FromContentOrNoise = "noise"
    """What the picture starts from: noise (as in alexjc/neural-doodle and in DmitryUlyanov/fast-neural-doodle), the
    content image, or a given picture: `{uri: sketch.png}`."""

    noise: Noise = 0.02
    """Share of noise in the grey picture that `init: noise` starts from. 1 is noise alone, as in alexjc/neural-doodle;
    part of so much noise stays to the end: in own trials with `how: gram` (a painting by Monet, 96 pixels) the result
    then had nearly three times the squared gradient, and a higher loss."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 100
    """Evaluations of the loss and its gradient at each level of the pyramid (100 in alexjc/neural-doodle, and at the
    last level in DmitryUlyanov/fast-neural-doodle)."""

    optimizer: OptimizerConfig = LbfgsConfig()
    early_stop: EarlyStop = None
    pyramid: PyramidConfig = PyramidConfig(levels=3)
    """Sizes at which the picture is optimised, coarse to fine (three, each half of the next, in
    alexjc/neural-doodle)."""

    color: Color = "style"
    backbone: BackboneConfig = BackboneConfig()
    temporal_weight: TemporalWeight = 300.0
    video: PixelVideoConfig = PixelVideoConfig()

    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def adds_styles(self) -> bool:
        """Whether the styles of a mix may be added: Gram matrices are compared."""
        return self.how == "gram"

    @property
    def least_positions(self) -> int:
        """The side of a patch, if there are patches."""
        return self.patch_size if self.how == "patches" else 1

    @property
    def masks(self) -> Literal["needed"]:
        """Masks of the content and of every style image are needed."""
        return "needed"

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_patches(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("how") == "patches":
            layers = standing_for(_PATCH_LAYERS, value.get("backbone"))
            return {"style_layers": layers, **_PATCH_DEFAULTS, **value}
        return value
