"""What the training of every family has."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from nst.config.block import Block, NamedBlock
from nst.config.fields import Pixels, Precision, Seed, Weight

Filters = Annotated[int, Field(ge=4, le=256)]


class DecayConfig(NamedBlock):
    """How the learning rate falls along the steps."""

    name: Literal["constant", "step", "inverse"] = "constant"
    """`constant` (Johnson et al. 2016); `step`: times `factor` every `every` steps (DmitryUlyanov/texture_nets);
    `inverse`: divided by 1 + `rate` times the step (naoto0804/pytorch-AdaIN)."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Of `step`; 0.8 in texture_nets."""

    every: Annotated[int, Field(ge=1)] = 2000
    """Of `step`, in steps; 300 for textures and 2000 for stylization in texture_nets."""

    rate: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Of `inverse`; 5e-5 in pytorch-AdaIN."""


class Training(Block):
    """What every family has."""

    VERSION: ClassVar[int] = 1
    """Declared version of the family: raised when the trained weights change, so that models are trained anew."""

    VARIES: ClassVar[frozenset[str]] = frozenset()
    """None: every point of the axes is a training of its own."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "validate_every", "compile"})
    """Fields that do not bear on what is learned and are no part of a model's identity."""

    LATER: ClassVar[frozenset[str]] = frozenset({"photograph_scale", "warmup"})
    """Fields that came later, with defaults that change nothing: models of before stay what they are."""

    BETA1: ClassVar[float] = 0.9
    """First moment of Adam: 0.9 in Kingma & Ba 2015."""

    family: Any

    size: Pixels = 256
    """Width and height of the squares of photographs that are learned from; 256 in all sources."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Photographs in a step; 4 in Johnson et al. 2016 section 4.1."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 40_000
    """Steps of Adam; 40,000 (two epochs of 80,000 photographs in batches of 4) in Johnson et al. 2016 section 4.1."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Of Adam; 1e-3 in Johnson et al. 2016 section 4.1."""

    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Steps in which the learning rate rises evenly to its full height, before it decays. None in the sources, which
    have more steps and smaller learning rates."""

    decay: DecayConfig = DecayConfig()

    photograph_scale: Annotated[float, Field(ge=1, le=4)] = 1.0
    """Short side of the photographs over `size`. 1 learns from their middles; with more, each step cuts other squares
    from them: 2 (512 to 256 pixels) in Huang & Belongie 2017. Prepared photographs take its square in disk space."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images over `size`. Brush strokes are learned at this size and stay so afterwards."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units."""

    style_weight: Weight = 10.0
    """Weight of the style loss, in relative units. Content 1, style 5 and tv 1e-6 of jcjohnson/fast-neural-style come
    to 1, 8 and 0.013 here, measured on VGG-16 up to relu3_3 with Starry Night at 256 pixels."""

    tv_weight: Weight = 0.01
    """Weight of the total variation (squared differences) of the output in [0, 1]; more is smoother. See above."""

    precision: Precision = "float32"

    compile: bool = False
    """Compile the network with torch.compile: slow to start, faster steps on a GPU."""

    seed: Seed = 0
    """Seed of the first weights, the order of the photographs, their crops, and the noise."""

    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Steps between checkpoints: at most so many are lost when the machine goes down."""

    validate_every: Annotated[int, Field(ge=1)] = 1000
    """Steps between pictures of the validation photographs."""

    @property
    def photographs(self) -> bool:
        """Whether it learns from photographs."""
        return True

    @property
    def photograph_side(self) -> int:
        """Pixels of the prepared photographs' sides."""
        return round(self.size * self.photograph_scale)

    @property
    def masks(self) -> bool:
        """Whether it learns from masks of the styles, which all others do without."""
        return False

    @property
    def most_styles(self) -> int | None:
        """How many style images it takes at most; None is any number. Every family needs one."""
        return 1

    @property
    def cost(self) -> float:
        """About how many pixels pass through the network in all, which its time is proportional to."""
        return float(self.size**2 * self.batch_size * self.steps)
