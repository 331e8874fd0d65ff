"""Settings of Mahendran & Vedaldi 2014. Every default stands beside its source."""

from __future__ import annotations

from typing import ClassVar, Literal

from nst.config.architectures import chain
from nst.config.backbone import BackboneConfig
from nst.config.fields import LayerName, Needs, Noise, Pixels, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig


class InvertConfig(PixelMethod):
    """Inversion: a picture from noise that has an image's features at one layer, or its Gram matrices up to there."""

    VERSION: ClassVar[int] = 2

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    name: Literal["invert"] = "invert"

    what: Literal["content", "style"] = "content"
    """`content`: the features of `layer` (Mahendran & Vedaldi 2014), of a content image. `style`: the Gram matrices of
    the first layer of each block and of `layer` itself (Gatys et al. 2016 figure 1), of a style."""

    layer: LayerName = "relu4_2"
    """The layer, or the last one of the chain."""

    size: Pixels = 256
    """Pixels of the side that `resize` names; of both sides with `what: style`."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image becomes `size`."""

    tv_weight: Weight = 1.0
    """Weight of the total variation (the paper's with beta 2) of the picture in [0, 1], against a loss of 1 for
    features that are all zero. More is smoother; deeper layers bear more. Own choice: the paper changes it by layer."""

    noise: Noise = 0.02
    """Share of noise in the grey picture to start from; 1 is noise alone, as in Gatys et al. 2016."""

    seed: Seed = 0
    """Seed of the noise: what differs between seeds is what the layer does not see."""

    steps: Steps = 300
    optimizer: OptimizerConfig = LbfgsConfig()
    pyramid: PyramidConfig = PyramidConfig()
    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def chain(self) -> tuple[str, ...]:
        """The layers of `what: style`: the first of each block before that of `layer`, and `layer`.

        Source:
            Gatys, Ecker & Bethge 2016, figure 1 (there before the ReLU).
        """
        return chain(self.backbone.name, self.layer)

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset((self.what,))

    @property
    def canvas(self) -> tuple[int, int] | None:
        """A square where Gram matrices are inverted."""
        return (self.size, self.size) if self.what == "style" else None
