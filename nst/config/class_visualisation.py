"""Settings of Simonyan, Vedaldi & Zisserman 2014, section 2. Every default stands beside its source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import ClassifyingBackbone
from nst.config.fields import Needs, Pixels, Precision, Seed, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import PyramidConfig


class ClassVisualisationConfig(PixelMethod):
    """Class model visualisation: the picture that a classifier takes most surely for a class."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"target", "l2_weight", "tv_weight", "noise", "seed"})

    REPORTS: ClassVar[Mapping[str, tuple[Literal["string", "float64"], str]]] = {
        "class_name": ("string", "class_visualisation: what the class `target` is called; null with random weights."),
        "class_probability": ("float64", "class_visualisation: softmax probability of that class, as saved."),
    }

    name: Literal["class_visualisation"] = "class_visualisation"

    target: Annotated[int, Field(ge=0, lt=1000)] = 543
    """Index of the class, in the order of ImageNet 2012; its name is the result's `class_name`. 543 is the dumbbell of
    the paper's figure 1."""

    size: Pixels = 224
    """Width and height of the picture; 224, what the network was trained on."""

    l2_weight: Weight = 100.0
    """Weight of the mean squared distance of the picture in [0, 1] to the mean colour, the paper's regulariser, against
    the class score (a few hundred at the end)."""

    tv_weight: Weight = 3000.0
    """Weight of the total variation of the picture in [0, 1] against the same; more is smoother. The paper has none."""

    noise: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of noise in the mean colour to start from; the paper starts from the mean colour alone."""

    seed: Seed = 0
    """Seed of the jitter and of the noise."""

    steps: Annotated[int, Field(ge=1, le=100_000)] = 80
    """Steps at each octave."""

    step_size: Annotated[float, Field(gt=0, le=1)] = 0.006
    """Mean absolute change of a value in one step, in units of the [0, 1] range."""

    jitter: Annotated[int, Field(ge=0, le=1024)] = 8
    """Largest shift of the picture before a step, in pixels, round its borders (Mordvintsev et al. 2015)."""

    pyramid: PyramidConfig = PyramidConfig(levels=3, factor=0.7)
    """Octaves, coarse to fine: the parts come out larger and fewer. The paper has `levels: 1`."""

    backbone: ClassifyingBackbone = ClassifyingBackbone()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from: none."""
        return frozenset()

    @property
    def canvas(self) -> tuple[int, int]:
        """A square: there is no content image."""
        return self.size, self.size
