"""Settings of Gatys, Ecker & Bethge 2015. Every default stands beside its source."""

from __future__ import annotations

from typing import ClassVar, Literal

from nst.config.backbone import AveragingBackbone, BackboneConfig
from nst.config.fields import LayerWeights, Needs, Noise, Pixels, Precision, Seed, Steps, TraceEvery, Weight
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig, OptimizerConfig, PyramidConfig


class TextureConfig(PixelMethod):
    """Texture synthesis: a new picture of any size, from noise, with the Gram matrices of an example."""

    VARIES: ClassVar[frozenset[str]] = frozenset({"noise", "seed", "tv_weight"})

    name: Literal["texture"] = "texture"

    size: Pixels = 256
    """Width and height of the new picture in pixels, where they are not given; 256 in leongatys/DeepTextures."""

    width: Pixels | None = None
    """Width in pixels; `size` by default."""

    height: Pixels | None = None
    """Height in pixels; `size` by default."""

    example_size: Pixels | None = None
    """Pixels of the long side of the example; by default that of the new picture. Less makes the texture finer."""

    style_layers: LayerWeights = dict.fromkeys(("relu1_1", "pool1", "pool2", "pool3", "pool4"), 0.2)
    """Layers whose Gram matrices are matched, with their weights: conv1_1 and the pooling layers, equally, in the
    paper and in leongatys/DeepTextures; rectified here, as its features are."""

    tv_weight: Weight = 0.0
    """Weight of the total variation of the picture in [0, 1]; the paper has none."""

    histogram_match: bool = True
    """Give every colour channel the example's histogram at the end, as leongatys/DeepTextures does."""

    noise: Noise = 0.02
    """Share of noise in the grey picture to start from: about as little as leongatys/DeepTextures takes (deviation 1 on
    the 0..255 scale). Of much noise a part stays, since the network hardly sees the finest of it; 1 is noise alone."""

    seed: Seed = 0
    """Seed of the noise."""

    steps: Steps = 500
    """Evaluations of the loss and its gradient at each level of the pyramid; leongatys/DeepTextures takes up to 2000
    at one level."""

    optimizer: OptimizerConfig = LbfgsConfig()
    pyramid: PyramidConfig = PyramidConfig()

    backbone: AveragingBackbone = BackboneConfig(pooling="average")
    """Average pooling unless told otherwise, as in the paper."""

    precision: Precision = "float32"
    trace_every: TraceEvery = 10

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset(("style",))

    @property
    def canvas(self) -> tuple[int, int]:
        """Width and height of the new picture."""
        return self.width or self.size, self.height or self.size
