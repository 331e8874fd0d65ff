"""Settings of DeepDream (Mordvintsev, Olah & Tyka 2015, "Inceptionism"), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import LayerWeights, Needs, Precision, Seed, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import PyramidConfig
from nst.config.start import Size


class DreamConfig(PixelMethod):
    """DeepDream: what layers see in a picture is amplified, coarse to fine (notebook: google/deepdream dream.ipynb)."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("seed", {"noise": (0.0,), "jitter": (0,)}, unless={"init": ("noise",)}),
        NoEffect("noise", {"init": ("noise",)}),
        NoEffect("resize", {"init": ("noise",)}),
        NoEffect("color", {"init": ("noise",)}),
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("pyramid.warm_start"),
    )

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"color"})

    name: Literal["dream"] = "dream"

    layers: LayerWeights = dict.fromkeys(("relu4_3",), 1.0)
    """Layers whose activations are increased, with their weights (relu4_3 of VGG-16 in gordicaleksa/pytorch-deepdream;
    the notebook has GoogLeNet). Shallow layers give strokes and textures, deep ones eyes, faces and houses."""

    size: Size = 512
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself; with
    `init: noise`, the length of both sides."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    init: Literal["content", "noise"] = "content"
    """What the picture starts from: the content image, or noise alone without a content image."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of seeded noise mixed into the content image with `init: content`."""

    seed: Seed = 0
    """Seed of the jitter and of the noise."""

    steps: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Steps of gradient ascent at each octave (10 in the notebook)."""

    step_size: Annotated[float, Field(gt=0, le=1)] = 0.006
    """Mean absolute change of the picture's values in one step, in units of the [0, 1] range (1.5 / 255 in the
    notebook)."""

    jitter: Annotated[int, Field(ge=0, le=1024)] = 32
    """Largest random shift of the picture before each step, in pixels; what leaves at one border enters at the opposite
    one (32 in the notebook)."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the picture in [0, 1], against activations divided by those of the starting
    picture. The notebook has no such term."""

    pyramid: PyramidConfig = PyramidConfig(levels=4, factor=0.714)
    """Octaves, coarse to fine (4, each 1.4 times as large as the one before, in the notebook)."""

    color: Literal["dream", "luminance", "oklab", "histogram_after"] = "dream"
    """Colours of the result. `dream`: as they come. All others are those of the content, which the notebook does not
    keep. `luminance`: only the luminance of the dream is kept. `oklab`: only its lightness in OkLab is kept (Ottosson
    2020). `histogram_after`: the mean and covariance of its colours are matched to the content's."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from."""
        return frozenset(("content",)) if self.init == "content" else frozenset()

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture: a square with `init: noise`, else None."""
        return self.square if self.init == "noise" else None
