"""The base of every family's settings: the settings that all trainings have, and the facts that planning needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from nst.config.block import NamedBlock, Settings
from nst.config.fields import Pixels, Precision, Seed, Weight
from nst.config.layers import reachable_defaults

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig

Filters = Annotated[int, Field(ge=4, le=256)]
"""Number of filters of a convolution."""


class DecayConfig(NamedBlock):
    """How the learning rate falls from step to step."""

    name: Literal["constant", "step", "inverse", "cosine"] = "constant"
    """`constant`: the learning rate does not fall (Johnson et al. 2016). `step`: it is multiplied by `factor` every
    `every` steps (DmitryUlyanov/texture_nets). `inverse`: it is divided by 1 + `rate` times the step
    (naoto0804/pytorch-AdaIN). `cosine`: it falls along half a cosine and reaches zero after all `steps` (Loshchilov &
    Hutter 2017, eq. 5, without restarts)."""

    factor: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Factor of `step` (0.8 in DmitryUlyanov/texture_nets)."""

    every: Annotated[int, Field(ge=1)] = 2000
    """Number of steps between two falls of `step` (300 for textures and 2000 for stylization in
    DmitryUlyanov/texture_nets)."""

    rate: Annotated[float, Field(ge=0, le=1)] = 5e-5
    """Rate of `inverse` (5e-5 in naoto0804/pytorch-AdaIN)."""


class Training(Settings):
    """The settings that every family has, and the answers of a family to the questions of planning and training."""

    VERSION: ClassVar[int] = 3
    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"checkpoint_every", "validate_every", "compile"})
    ADDED_LATER: ClassVar[frozenset[str]] = frozenset({"photograph_scale", "warmup", "temporal_weight"})

    KNOWS: ClassVar[Literal["none", "one", "many", "any"]] = "one"
    """Which styles a trained network knows: `none`; `one`; `many`, with a row of parameters for each; or `any`, since
    it is given the style together with the picture."""

    PAINTS: ClassVar[Literal["photographs", "masks"]] = "photographs"
    """What a network takes as content: photographs, or masks in the colours of the style's own mask."""

    MAKES: ClassVar[Literal["pictures", "backbone"]] = "pictures"
    """What a trained network is for: it makes pictures, or it measures them as a backbone."""

    BETA1: ClassVar[float] = 0.9
    """Decay of the mean gradient in Adam (0.9 in Kingma & Ba 2015)."""

    BETA2: ClassVar[float] = 0.999
    """Decay of the mean squared gradient in Adam (0.999 in Kingma & Ba 2015)."""

    family: Any

    if TYPE_CHECKING:  # every family declares it, with its own default
        backbone: BackboneConfig

    size: Pixels = 256
    """Width and height in pixels of the squares of photographs that the network learns from (256 in all sources)."""

    batch_size: Annotated[int, Field(ge=1, le=256)] = 4
    """Number of photographs in a step (4 in Johnson et al. 2016 section 4.1)."""

    steps: Annotated[int, Field(ge=1, le=10_000_000)] = 40_000
    """Number of steps of Adam (40,000, two epochs of 80,000 photographs in batches of 4, in Johnson et al. 2016 section
    4.1)."""

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 1e-3
    """Learning rate of Adam (1e-3 in Johnson et al. 2016 section 4.1)."""

    warmup: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Number of steps over which the learning rate rises evenly from zero to its full height, before it decays. The
    sources have no warm-up; they have more steps and smaller learning rates."""

    decay: DecayConfig = DecayConfig()

    photograph_scale: Annotated[float, Field(ge=1, le=4)] = 1.0
    """Short side of the prepared photographs divided by `size`. With 1 the network learns from the middle of each
    photograph; with more, each step cuts squares at random places (2, 512 to 256 pixels, in Huang & Belongie 2017). The
    disk space of the prepared photographs grows with the square of this number."""

    style_scale: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Long side of the style images (of `adain`: their short side) divided by `size`. The network learns brush strokes
    of this size and keeps it afterwards."""

    content_weight: Weight = 1.0
    """Weight of the content loss, in relative units."""

    style_weight: Weight = 10.0
    """Weight of the style loss, in relative units. The weights 1, 5 and 1e-6 of content, style and total variation in
    jcjohnson/fast-neural-style come to 1, 8 and 0.013 in relative units, measured on VGG-16 up to relu3_3 with Starry
    Night at 256 pixels. Short trainings want less: in own trials of `johnson` with content at relu3_1, 500 steps with
    10 still hid the photograph in the style, and 300 with 3 did not (`docs/pictures.md`)."""

    tv_weight: Weight = 0.01
    """Weight of the total variation (squared differences of neighbours) of the output in [0, 1]; more makes it smoother
    (0.013 in jcjohnson/fast-neural-style, see `style_weight`)."""

    precision: Precision = "float32"

    compile: bool = False
    """Whether to compile the network with torch.compile: the start is slower, the steps on a GPU are faster."""

    seed: Seed = 0
    """Seed of the whole training: of the first weights, the order of the photographs, their crops, and the noise."""

    checkpoint_every: Annotated[int, Field(ge=1)] = 1000
    """Number of steps between two checkpoints: at most this many are lost when the machine goes down."""

    validate_every: Annotated[int, Field(ge=1)] = 1000
    """Number of steps between two sets of validation pictures."""

    @model_validator(mode="before")
    @classmethod
    def _fit_layers(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = value | dict(reachable_defaults(cls.model_fields, value))
        return value

    @property
    def photographs(self) -> bool:
        """Whether the network learns from photographs."""
        return self.PAINTS == "photographs"

    @property
    def photograph_side(self) -> int:
        """Side of the prepared photographs, which are squares, in pixels."""
        return round(self.size * self.photograph_scale)

    @property
    def masks(self) -> bool:
        """Whether the family needs a mask for each style image."""
        return self.PAINTS == "masks"

    @property
    def most_styles(self) -> int | None:
        """Largest number of style images of one network, None for any number. Families with any need at least one."""
        return {"none": 0, "one": 1}.get(self.KNOWS)

    @property
    def views(self) -> int:
        """How often each photograph is in the batch of one step."""
        return 1

    def fault(self, *, has_parent: bool) -> str:
        """Return why a training with these settings cannot begin, or "".

        Args:
            has_parent: Whether the training begins with the weights of another model.
        """
        del has_parent
        return ""

    @property
    def cost(self) -> float:
        """Number of pixels that pass through the network in all, about proportional to the time of the training."""
        return float(self.size**2 * self.batch_size * self.steps)
