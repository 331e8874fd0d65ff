"""Settings of Gatys, Ecker & Bethge 2016. Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from nst.config.backbone import BackboneConfig
from nst.config.fields import (
    LayerWeights,
    Pixels,
    Precision,
    Representation,
    Seed,
    Steps,
    TraceEvery,
    Weight,
)
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig
from nst.config.presets import PRESETS, over_preset


class GatysConfig(PixelMethod):
    """Image style transfer by optimisation of the pixels against Gram matrices."""

    VARIES: ClassVar[frozenset[str]] = frozenset(
        {"content_weight", "style_weight", "tv_weight", "laplacian_weight", "seed", "preset"}
    )

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"preset", "trace_every"})

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"laplacian_weight", "laplacian_pool"})

    PRESET: ClassVar[str] = "preset"
    INDEPENDENT_VALIDATORS: ClassVar[frozenset[str]] = frozenset({"_from_name", "_apply_preset"})

    name: Literal["gatys"] = "gatys"

    preset: Literal["gatys", "jcjohnson", "crowsonkb", "pytorch"] | None = None
    """Fill in the fields that are not given as this implementation sets them, and read weights in its units."""

    units: Literal["relative", "paper", "gatys", "jcjohnson", "crowsonkb", "pytorch"] = "relative"
    """Units of the weights. `relative` divides each loss by the energy of its target and means the same on every
    backbone; the others are the absolute units of those implementations (`nst.losses.units`)."""

    size: Pixels = 512
    """Pixels of the side that `resize` names."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`; jcjohnson/neural-style uses the long side."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Size of the style images over that of the content image."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights; relu4_2 in Gatys et al. 2016."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 0.2)
    """Layers of the style loss with their weights; these five, equally, in Gatys et al. 2016."""

    style_representation: Representation = "gram"
    """`gram`: Gram matrices (Gatys et al. 2016 eq. 3-5); `moments`: Wasserstein-2 distance of Gaussians (crowsonkb),
    stronger at the same weight; `sliced`: sliced Wasserstein distance (Heitz et al. 2021), which compares whole
    distributions; `histogram`: Gram matrices and histograms of channels (Risser et al. 2017), steadier in colour."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in `units`."""

    style_weight: Weight = 100.0
    """Weight of the style loss, in `units`; 30 to 300 is a good range in relative units, on every backbone."""

    tv_weight: Weight = 1.0
    """Weight of the total variation, in `units`; more is smoother."""

    tv: Literal["squared", "absolute", "euclidean", "nine_point"] = "squared"
    """Total variation (`nst.losses.tv`): squared differences of neighbours (the talks'; jcjohnson), absolute ones
    (ProGamerGov), gradient lengths (Rudin, Osher & Fatemi 1992), or squared ones with diagonals (crowsonkb)."""

    laplacian_weight: Weight = 0.0
    """Weight of the Laplacian loss, in `units`, which keeps the content's edges (Li, Xu, Nie & Liu 2017). In relative
    units 0.1 to 1 is a good range; from 3 on the squares of `laplacian_pool` show as a fine pattern (own trials)."""

    laplacian_pool: Annotated[int, Field(ge=1, le=64)] = 4
    """Pixels of the squares that the picture is averaged over before its Laplacian, at every level of the pyramid; 4 in
    the paper and in askerlee/lapstyle."""

    init: Literal["content", "noise", "style"] = "content"
    """What the picture starts from; `noise` is the paper's."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of seeded noise mixed into a start from `content` or `style`."""

    seed: Seed = 0
    """Seed of the noise of `init: noise` or of the share `noise`; without noise, seeds make no difference."""

    steps: Steps = 300
    optimizer: OptimizerConfig = LbfgsConfig()
    pyramid: PyramidConfig = PyramidConfig()

    color: Literal["style", "luminance", "histogram"] = "style"
    """Colours of the result: the style's; the content's by taking over only luminance (Gatys et al. 2016b); or the
    content's by matching the style image's colours to them first."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def masks(self) -> Literal["none", "allowed"]:
        """Whether it looks at masks: Gram matrices alone are kept by region."""
        return "allowed" if self.style_representation == "gram" else "none"

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, value: Any) -> Any:
        preset = value.get("preset") if isinstance(value, dict) else None
        if isinstance(preset, str) and preset in PRESETS:
            return over_preset(value)
        return value
