"""Settings of class model visualisation (Simonyan, Vedaldi & Zisserman 2014, section 2), with their sources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import ClassifyingBackbone
from nst.config.effects import NoEffect
from nst.config.fields import Needs, Pixels, Precision, Seed, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import PyramidConfig


class ClassVisualisationConfig(PixelMethod):
    """Class model visualisation: the picture that a classifier scores highest for a class (Simonyan et al. 2014)."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"target", "l2_weight", "tv_weight", "noise", "seed"})

    REPORTS: ClassVar[Mapping[str, tuple[Literal["string", "float64"], str]]] = {
        "class_name": ("string", "class_visualisation: name of the class `target`; null with random weights."),
        "class_probability": (
            "float64",
            "class_visualisation: softmax probability of the class `target` for the picture as saved, in [0, 1].",
        ),
    }

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("seed", {"noise": (0.0,), "jitter": (0,)}),
        NoEffect("pyramid.warm_start"),
    )

    name: Literal["class_visualisation"] = "class_visualisation"

    target: Annotated[int, Field(ge=0, lt=1000)] = 543
    """Index of the class in the order of ImageNet 2012; the column `class_name` of the results holds its name. 543 is
    the dumbbell of the paper's figure 1."""

    size: Pixels = 224
    """Width and height of the picture in pixels; the network was trained on 224."""

    l2_weight: Weight = 100.0
    """Weight of the paper's regulariser, the mean squared distance of the picture in [0, 1] to the mean colour, against
    a class score of a few hundred at the end."""

    tv_weight: Weight = 3000.0
    """Weight of the total variation of the picture in [0, 1] against that class score; more makes the picture smoother.
    The paper has no such term."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of seeded noise mixed into the mean colour that the picture starts from; the paper starts from the mean
    colour alone."""

    seed: Seed = 0
    """Seed of the jitter and of the noise."""

    steps: Annotated[int, Field(ge=1, le=100_000)] = 80
    """Steps of gradient ascent at each octave."""

    step_size: Annotated[float, Field(gt=0, le=1)] = 0.006
    """Mean absolute change of the picture's values in one step, in units of the [0, 1] range."""

    jitter: Annotated[int, Field(ge=0, le=1024)] = 8
    """Largest random shift of the picture before each step, in pixels; what leaves at one border enters at the opposite
    one (Mordvintsev et al. 2015)."""

    pyramid: PyramidConfig = PyramidConfig(levels=3, factor=0.7)
    """Octaves, coarse to fine: with more of them the parts of the object come out larger and fewer. The paper has
    `levels: 1`."""

    backbone: ClassifyingBackbone = ClassifyingBackbone()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from: none."""
        return frozenset()

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the picture, a square: there is no content image."""
        return self.size, self.size
