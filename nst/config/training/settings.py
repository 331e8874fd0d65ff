"""What the training of every family has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from nst.config.block import NamedBlock, Settings
from nst.config.fields import Pixels, Precision, Seed, Weight

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig

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


class Training(Settings):
    """The settings that every family has, and what a family answers for itself."""

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "validate_every", "compile"})
    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"photograph_scale", "warmup"})

    KNOWS: ClassVar[Literal["one", "many", "any"]] = "one"
    """Styles of one network: `one`; `many`, a row of parameters each; `any`, which it is given with the picture."""

    PAINTS: ClassVar[Literal["photographs", "masks"]] = "photographs"
    """What a network paints over: photographs, or masks whose colours are those of the style's own mask."""

    BETA1: ClassVar[float] = 0.9
    """First moment of Adam: 0.9 in Kingma & Ba 2015."""

    family: Any

    if TYPE_CHECKING:  # every family declares it, with its own default
        backbone: BackboneConfig

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
        """Whether the network learns from photographs."""
        return self.PAINTS == "photographs"

    @property
    def photograph_side(self) -> int:
        """Pixels of the sides of the prepared photographs."""
        return round(self.size * self.photograph_scale)

    @property
    def masks(self) -> bool:
        """Whether the family needs a mask for each style image."""
        return self.PAINTS == "masks"

    @property
    def most_styles(self) -> int | None:
        """How many style images one network takes at most, None for any number. Every family needs at least one."""
        return 1 if self.KNOWS == "one" else None

    @property
    def views(self) -> int:
        """How often each photograph is in a step."""
        return 1

    def fault(self, *, has_parent: bool) -> str:
        """Return why a training with these settings cannot begin, or "".

        Args:
            has_parent: Whether it begins with the weights of another model.
        """
        del has_parent
        return ""

    @property
    def cost(self) -> float:
        """About how many pixels pass through the network in all, which the training's time is proportional to."""
        return float(self.size**2 * self.batch_size * self.steps)
