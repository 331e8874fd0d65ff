"""Settings of Mordvintsev, Olah & Tyka 2015 ("Inceptionism"). Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Needs, Pixels, Precision, Seed, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import PyramidConfig


class DreamConfig(PixelMethod):
    """DeepDream: whatever a layer sees in a picture is amplified, from coarse to fine."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    name: Literal["dream"] = "dream"

    layers: LayerWeights = dict.fromkeys(("relu4_3",), 1.0)
    """Layers whose activations grow, with their weights; relu4_3 in gordicaleksa/pytorch-deepdream (VGG-16), the
    notebook has GoogLeNet. Shallow layers give strokes and textures, deep ones eyes, faces and houses."""

    size: Pixels = 512
    """Pixels of the side that `resize` names, of both sides with `init: noise`."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`."""

    init: Literal["content", "noise"] = "content"
    """What the dream starts from; without a content image from noise."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of seeded noise mixed into a start from `content`."""

    seed: Seed = 0
    """Seed of the jitter and of the noise."""

    steps: Annotated[int, Field(ge=1, le=100_000)] = 10
    """Steps at each octave; 10 in the notebook."""

    step_size: Annotated[float, Field(gt=0, le=1)] = 0.006
    """Mean absolute change of a value in one step, in units of the [0, 1] range; 1.5 / 255 in the notebook."""

    jitter: Annotated[int, Field(ge=0, le=1024)] = 32
    """Largest shift of the picture before a step, in pixels, round its borders; 32 in the notebook."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the picture in [0, 1], against activations over those of the start; the
    notebook has none."""

    pyramid: PyramidConfig = PyramidConfig(levels=4, factor=0.714)
    """Octaves, coarse to fine; 4 of scale 1.4 in the notebook."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset(("content",)) if self.init == "content" else frozenset()

    @property
    def canvas(self) -> tuple[int, int] | None:
        """A square where a dream starts from noise."""
        return (self.size, self.size) if self.init == "noise" else None
