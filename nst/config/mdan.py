"""Settings of stylization against a critic (the deconvolution of Li & Wand 2016, MDAN), with their sources."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import Color, LayerWeights, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import PyramidConfig
from nst.config.start import FromContentOrNoise, Size


class MdanConfig(PixelMethod):
    """A content image whose patches a critic, trained at the same time, takes for the style's (MDAN, Li & Wand 2016).

    The catalog's `style_loss` of such a picture is the adversarial loss: 1 while the critic cannot tell real patches
    from painted ones.
    """

    VARIES: ClassVar[frozenset[str]] = frozenset({"content_weight", "style_weight", "tv_weight", "seed"})

    IN_TILES: ClassVar[bool] = False

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("resize", {"size": ("original",)}),
    )

    name: Literal["mdan"] = "mdan"

    size: Size = 384
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself (384 in
    chuanli11/MGANs)."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images divided by the long side of the picture."""

    content_layers: LayerWeights = dict.fromkeys(("relu5_1",), 1.0)
    """Layers of the content loss with their weights (relu5_1 in chuanli11/MGANs)."""

    style_layers: LayerWeights = dict.fromkeys(("relu3_1",), 1.0)
    """Layers whose patches of 3 x 3 positions are judged, by one critic per layer, with their weights (relu3_1 in
    chuanli11/MGANs)."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units."""

    style_weight: Weight = 2.0
    """Weight of the adversarial loss, which is 1 while the critic cannot tell real patches from painted ones. At 1
    much of the content is left, at 5 strokes cover it (own trials)."""

    tv_weight: Weight = 10.0
    """Weight of the total variation of the picture in [0, 1] (1e-4, in other units, in chuanli11/MGANs)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.02
    """Learning rate of Adam for the pixels, in units of the [0, 1] range (0.02 in chuanli11/MGANs, in units of the
    deviation of ImageNet's pixels)."""

    critic_rate: Annotated[float, Field(gt=0, le=100)] = 0.005
    """Learning rate of the critic divided by that of the pixels (1 in chuanli11/MGANs, with batch norm). In own trials
    (chelsea and Starry Night, 128 pixels, 80 steps) the adversarial loss ended at 0.8 with 0.005, at 2 with 0.05 and at
    4 with 0.5, where the critic wins and the picture fills with specks of pure colours."""

    init: FromContentOrNoise = "content"
    """What the picture starts from: the content image, noise, or a given picture: `{uri: sketch.png}`."""

    seed: Seed = 0
    """Seed of the critic's first weights and of the noise."""

    steps: Steps = 150
    """Steps of Adam, for the picture and its critic at once, at each level of the pyramid (5 times 25 in
    chuanli11/MGANs)."""

    pyramid: PyramidConfig = PyramidConfig(levels=2)
    """Sizes at which the picture is optimised, coarse to fine, with a new critic at each (one in chuanli11/MGANs)."""

    color: Color = "style"
    backbone: BackboneConfig = BackboneConfig(padding="reflect")
    """The backbone. With reflection padding a critic cannot tell real patches from painted ones by the borders of the
    pictures; chuanli11/MGANs leaves the borders out."""

    precision: Precision = "float32"
    trace_every: TraceEvery = 10
