"""Settings of Li & Wand 2016. Every default stands beside its source."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerWeights, Needs, Pixels, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig


class MrfConfig(PixelMethod):
    """Patches of the style's features put together anew, over the content or freely."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"content_weight", "style_weight", "tv_weight", "seed"})

    name: Literal["mrf"] = "mrf"

    what: Literal["transfer", "synthesis"] = "transfer"
    """`transfer`: over a content image; `synthesis`: freely from noise, without one."""

    size: Pixels = 384
    """Pixels of the side that `resize` names, of both sides with `what: synthesis`; 384 in chuanli11/CNNMRF."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Size of the style images over that of the picture, by their long sides; 1 in chuanli11/CNNMRF."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights; relu4_2 in the paper, relu4_1 in a script of its authors."""

    style_layers: LayerWeights = dict.fromkeys(("relu3_1", "relu4_1"), 0.5)
    """Layers whose patches are matched, with their weights; these two, equally, in the paper."""

    patch_size: Annotated[int, Field(ge=1, le=16)] = 3
    """Side of a patch in feature positions; 3 in the paper."""

    stride: Annotated[int, Field(ge=1, le=16)] = 2
    """Step between neighbouring patches; 2 in chuanli11/CNNMRF, 1 in the paper at about 16 times the cost."""

    rotations: Annotated[int, Field(ge=0, le=24)] = 0
    """Copies of the style turned to each side, in steps of 7.5 degrees (chuanli11/CNNMRF: 0, 1 or 3)."""

    scales: Annotated[int, Field(ge=0, le=12)] = 0
    """Copies of the style larger and smaller, in steps of 5 % (chuanli11/CNNMRF: 0, 1 or 3); multiplies `rotations`."""

    content_weight: Weight = 1.0
    """Weight of the content loss, relative to the energy of the content's features."""

    style_weight: Weight = 3.0
    """Weight of the patch loss, relative to the energy of the style's patches: at 0.5 little of the style arrives, at
    10 little of the content is left (own trials; the authors' weights are in absolute units)."""

    tv_weight: Weight = 1.0
    """Weight of the squared gradient of the picture in [0, 1], the paper's regulariser."""

    init: Literal["content", "noise"] = "content"
    """What a transfer starts from; a synthesis starts from noise."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 100
    """Evaluations of the loss and its gradient at each level; 100 in chuanli11/CNNMRF, 200 in the paper."""

    optimizer: OptimizerConfig = LbfgsConfig()
    """L-BFGS, as in the paper. It accepts no rise of the loss, which jumps where a patch changes its match, and may
    stand still before the `steps` are done. Adam with a learning rate of 0.05 ended 7 to 20 % lower over a content,
    with more of the style and less of the content: take half the `style_weight` with it (trials at 72 and 112 px)."""

    pyramid: PyramidConfig = PyramidConfig(levels=3)
    """Three sizes, each half of the next, in the paper."""

    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset(("style",)) if self.what == "synthesis" else frozenset(("content", "style"))

    @property
    def canvas(self) -> tuple[int, int] | None:
        """A square where a synthesis has no content image."""
        return (self.size, self.size) if self.what == "synthesis" else None

    @property
    def copies(self) -> list[tuple[float, float]]:
        """Angle in degrees and scale of every copy of the style."""
        angles = [7.5 * turn for turn in range(-self.rotations, self.rotations + 1)]
        return [(angle, 1.05**step) for step in range(-self.scales, self.scales + 1) for angle in angles]
