"""Settings of inversion (Mahendran & Vedaldi 2014), with their sources."""

from __future__ import annotations

from typing import ClassVar, Literal

from nst.config.architectures import chain
from nst.config.backbone import BackboneConfig
from nst.config.effects import NoEffect
from nst.config.fields import LayerName, Needs, Noise, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import EarlyStop, LbfgsConfig, OptimizerConfig, PyramidConfig
from nst.config.start import Size


class InvertConfig(PixelMethod):
    """Inversion: a picture from noise with an image's features at one layer, or its Gram matrices up to that layer."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        *PixelMethod.NO_EFFECT,
        NoEffect("resize", {"what": ("style",)}),
        NoEffect("resize", {"size": ("original",)}),
        NoEffect("pyramid.warm_start", {"optimizer.name": ("lbfgs",)}),
    )

    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"early_stop"})

    name: Literal["invert"] = "invert"

    what: Literal["content", "style"] = "content"
    """What is inverted. `content`: the features of a content image at `layer` (Mahendran & Vedaldi 2014). `style`: the
    Gram matrices of a style at the first layer of each block and at `layer` itself (Gatys et al. 2016 figure 1)."""

    layer: LayerName = "relu4_2"
    """Layer whose features are inverted; with `what: style`, the last layer whose Gram matrix is inverted."""

    size: Size = 256
    """Length in pixels of the side that `resize` names; or `original`, the size of the content image itself; with
    `what: style`, the length of both sides."""

    resize: Literal["long", "short"] = "long"
    """Which side of the content image is scaled to `size`."""

    tv_weight: Weight = 1.0
    """Weight of the total variation (the paper's with beta = 2) of the picture in [0, 1], against a loss that is 1 for
    features that are all zero. More makes the picture smoother; deeper layers tolerate more of it. The default is our
    own choice: the paper (Mahendran & Vedaldi 2014) changes the weight from layer to layer."""

    noise: Noise = 0.02
    """Share of noise in the grey picture that the optimisation starts from; 1 is noise alone, as in Gatys et al.
    2016."""

    seed: Seed = 0
    """Seed of the noise. Whatever differs between the results of two seeds is what the layer does not see."""

    steps: Steps = 300
    optimizer: OptimizerConfig = LbfgsConfig()
    early_stop: EarlyStop = None
    pyramid: PyramidConfig = PyramidConfig()
    backbone: BackboneConfig = BackboneConfig()
    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def chain(self) -> tuple[str, ...]:
        """The layers of `what: style`: the first rectified layer of each block before that of `layer`, and `layer`.

        Source:
            Gatys, Ecker & Bethge 2016, figure 1 (which takes them before the ReLU).
        """
        return chain(self.backbone.name, self.layer)

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from."""
        return frozenset((self.what,))

    @property
    def adds_styles(self) -> bool:
        """Whether the styles of a mix may be added: Gram matrices are inverted."""
        return self.what == "style"

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture: a square with `what: style`, else None."""
        return self.square if self.what == "style" else None
