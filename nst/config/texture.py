"""Settings of texture synthesis (Gatys, Ecker & Bethge 2015), with their sources."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import model_validator

from nst.config.backbone import AveragingBackbone, BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import LayerWeights, Needs, Noise, Pixels, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import EarlyStop, LbfgsConfig, OptimizerConfig, PyramidConfig, coarse_to_fine


class TextureConfig(PixelMethod):
    """Texture synthesis: a new picture of any size, made from noise, with the Gram matrices of an example."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("size", unless={"width": (None,), "height": (None,)}),
        NoEffect("pyramid.warm_start", {"optimizer.name": ("lbfgs",)}),
    )

    DECIDES: ClassVar[frozenset[str]] = PixelMethod.DECIDES | {"size", "width", "height"}
    INDEPENDENT_VALIDATORS: ClassVar[frozenset[str]] = PixelMethod.INDEPENDENT_VALIDATORS | {"_fit_pyramid"}

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"early_stop"})

    name: Literal["texture"] = "texture"

    size: Pixels = 256
    """Default of `width` and `height`, in pixels (256 in leongatys/DeepTextures)."""

    width: Pixels | None = None
    """Width of the new picture in pixels; `size` by default."""

    height: Pixels | None = None
    """Height of the new picture in pixels; `size` by default."""

    example_size: Pixels | None = None
    """Long side of the example in pixels; by default the long side of the new picture. A smaller example makes the
    texture finer."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "pool1", "pool2", "pool3", "pool4"), 0.2)
    """Layers whose Gram matrices are matched, with their weights (conv1_1 and the pooling layers, equally, in Gatys et
    al. 2015 and in leongatys/DeepTextures, whose features are rectified as relu1_1 is)."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the picture in [0, 1]. Gatys et al. 2015 have no such term."""

    histogram_match: bool = True
    """Whether every colour channel takes the histogram of the example at the end, as in leongatys/DeepTextures."""

    noise: Noise = 0.02
    """Share of noise in the grey picture that the optimisation starts from; 1 is noise alone. The default is about as
    little as in leongatys/DeepTextures (deviation 1 on the scale of 0..255). Part of much noise stays to the end, since
    the network hardly sees the finest of it."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 500
    """Evaluations of the loss and its gradient at each level of the pyramid (up to 2000, at a single level, in
    leongatys/DeepTextures)."""

    optimizer: OptimizerConfig = LbfgsConfig()
    early_stop: EarlyStop = None
    pyramid: PyramidConfig = PyramidConfig(levels=2)
    """Coarse to fine. Without this key two levels from 128 pixels on, and one below."""

    backbone: AveragingBackbone = BackboneConfig(pooling="average")
    """The backbone. Its `pooling` is `average` by default, as in Gatys et al. 2015."""

    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @model_validator(mode="before")
    @classmethod
    def _fit_pyramid(cls, value: Any) -> Any:
        if isinstance(value, dict) and "pyramid" not in value:
            size = value.get("size", cls.model_fields["size"].default)
            sides = (value.get(side) or size for side in ("width", "height"))
            return value | {"pyramid": coarse_to_fine(*sides)}
        return value

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from."""
        return frozenset(("style",))

    @property
    def adds_styles(self) -> bool:
        """Whether the examples of a mix may be added. `histogram_match` averages their histograms at the end still."""
        return True

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the new picture in pixels."""
        return self.width or self.size, self.height or self.size
