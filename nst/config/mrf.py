"""Settings of the patch-based method (Li & Wand 2016, CNNMRF), with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import Color, LayerWeights, Needs, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import EarlyStop, LbfgsConfig, OptimizerConfig, PyramidConfig
from nst.config.photorealism import GuidedFilter, PhotorealismWeight
from nst.config.start import FromContentOrNoise, Size
from nst.config.video import PixelVideoConfig, TemporalWeight

if TYPE_CHECKING:
    from collections.abc import Iterator


class MrfConfig(PixelMethod):
    """Patches of the style's features put together anew, over a content image or freely (CNNMRF, Li & Wand 2016)."""

    CARRIES_DETAIL: ClassVar[bool] = True

    VARIES: ClassVar[frozenset[str]] = frozenset(
        {"content_weight", "style_weight", "tv_weight", "photorealism_weight", "temporal_weight", "seed"}
    )

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("seed", {"what": ("transfer",)}, unless={"init": ("noise",)}),
        NoEffect("init", {"what": ("synthesis",)}),
        NoEffect("resize", {"what": ("synthesis",)}),
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("content_layers", {"what": ("synthesis",)}),
        NoEffect("content_weight", {"what": ("synthesis",)}),
        NoEffect("photorealism_weight", {"what": ("synthesis",)}),
        NoEffect("guided_filter", {"what": ("synthesis",)}),
        NoEffect("color", {"what": ("synthesis",)}),
        NoEffect("pyramid.warm_start", {"optimizer.name": ("lbfgs",)}),
    )

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset(
        {"early_stop", "color", "photorealism_weight", "temporal_weight", "video", "guided_filter"}
    )

    name: Literal["mrf"] = "mrf"

    what: Literal["transfer", "synthesis"] = "transfer"
    """What is made. `transfer`: a stylized content image. `synthesis`: a new picture from noise, without a content
    image."""

    size: Size = 384
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself; with
    `what: synthesis`, the length of both sides (384 in chuanli11/CNNMRF)."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images divided by the long side of the picture (1 in chuanli11/CNNMRF)."""

    content_layers: LayerWeights = dict.fromkeys(("relu4_2",), 1.0)
    """Layers of the content loss with their weights (relu4_2 in the paper, relu4_1 in a script of its authors)."""

    style_layers: LayerWeights = dict.fromkeys(("relu3_1", "relu4_1"), 0.5)
    """Layers whose patches are matched, with their weights (these two, equally, in the paper)."""

    patch_size: Annotated[int, Field(ge=1, le=16)] = 3
    """Side of a patch in positions of the feature map (3 in Li & Wand 2016 and in Champandard 2016)."""

    stride: Annotated[int, Field(ge=1, le=16)] = 2
    """Distance between neighbouring patches in positions of the feature map (2 in chuanli11/CNNMRF; 1 in the paper, at
    about 16 times the cost). The last row and column of patches end at the border, as in CNNMRF."""

    rotations: Annotated[int, Field(ge=0, le=24)] = 0
    """Number of copies of the style that are turned to each side, in steps of 7.5 degrees (0, 1 or 3 in
    chuanli11/CNNMRF)."""

    scales: Annotated[int, Field(ge=0, le=12)] = 0
    """Number of larger copies of the style, and of smaller ones, in steps of 5 % (0, 1 or 3 in chuanli11/CNNMRF). The
    style is turned by `rotations` at every one of these sizes."""

    content_weight: Weight = 1.0
    """Weight of the content loss, relative to the energy of the content's features."""

    style_weight: Weight = 3.0
    """Weight of the patch loss, relative to the energy of the style's patches. At 0.5 little of the style arrives, at
    10 little of the content is left (own trials; the weights of chuanli11/CNNMRF are in absolute units)."""

    tv_weight: Weight = 1.0
    """Weight of the paper's regulariser, the squared gradient of the picture in [0, 1]."""

    photorealism_weight: PhotorealismWeight = 0.0
    guided_filter: GuidedFilter = None

    init: FromContentOrNoise = "content"
    """What the picture starts from with `what: transfer`: the content image, noise, or a given picture:
    `{uri: sketch.png}`. With `what: synthesis` it starts from noise."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 100
    """Evaluations of the loss and its gradient at each level of the pyramid (100 in chuanli11/CNNMRF, 200 in the
    paper)."""

    optimizer: OptimizerConfig = LbfgsConfig()
    """Optimiser of the pixels (L-BFGS in the paper). The loss jumps where a patch changes its match, and since L-BFGS
    accepts no rise of the loss, it may stand still before all `steps` are done. In own trials with a content image at
    72 and 112 pixels, Adam with a learning rate of 0.05 ended at a loss 7 to 20 % lower, with more of the style and
    less of the content: halve the `style_weight` with it."""

    early_stop: EarlyStop = None
    pyramid: PyramidConfig = PyramidConfig(levels=3)
    """Sizes at which the picture is optimised, coarse to fine (three, each half of the next, in the paper)."""

    color: Color = "style"
    backbone: BackboneConfig = BackboneConfig()
    temporal_weight: TemporalWeight = 300.0
    video: PixelVideoConfig = PixelVideoConfig()

    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from: a synthesis needs no content image."""
        return frozenset(("style",)) if self.what == "synthesis" else frozenset(("content", "style"))

    @property
    def masks(self) -> Literal["none", "allowed"]:
        """Whether masks may be given: a synthesis has no content image whose regions they could name."""
        return "none" if self.what == "synthesis" else "allowed"

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture: a square with `what: synthesis`, else None."""
        return self.square if self.what == "synthesis" else None

    def conflicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield the settings that do not fit together: a synthesis starts from noise."""
        yield from super().conflicts()
        if self.what == "synthesis" and self.start_picture:
            yield "init", "a synthesis starts from noise, not from a given picture", "remove 'init'"

    @property
    def least_positions(self) -> int:
        """The side of a patch."""
        return self.patch_size

    @property
    def copies(self) -> list[tuple[float, float]]:
        """Every copy of the style as (angle in degrees, scale), the style itself among them."""
        angles = [7.5 * turn for turn in range(-self.rotations, self.rotations + 1)]
        return [(angle, 1.05**step) for step in range(-self.scales, self.scales + 1) for angle in angles]
