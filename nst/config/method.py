"""The base of every method's settings: all that planning, checking and running ask of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from nst.config.backbone import DISTILLED
from nst.config.block import NamedBlock, Settings
from nst.config.effects import NoEffect
from nst.config.finish import FinishConfig
from nst.config.layers import reachable_defaults
from nst.config.optimizer import AdamConfig, PyramidConfig
from nst.config.start import ASSUMED_SIDE, StartPicture
from nst.config.video import MotionBlock, PixelVideoConfig

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig
    from nst.config.fields import Needs, Precision
    from nst.config.optimizer import EarlyStopConfig


class Method(NamedBlock, Settings):
    """Settings of one method."""

    REVISED: ClassVar[Mapping[str, Mapping[Any, int]]] = {"precision": {"float64": 2}}

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"finish"})
    """The identity of the network of `finish` stands for it (`nst.identity.method_key`)."""

    RUNS_NETWORK: ClassVar[bool] = False
    """Whether cells are made by a trained network, which planning chooses (`nst.records.ModelRef`)."""

    SHARES_CONTENT: ClassVar[bool] = True
    """Whether the cells of one batch must have the same content image."""

    REPORTS: ClassVar[Mapping[str, tuple[Literal["string", "float64"], str]]] = {}
    """Columns of the table `results` that only this method fills in: name to type and description."""

    if TYPE_CHECKING:  # every method declares these fields, each with its own description and default
        name: Any
        size: Any  # a whole number of pixels, or "original"
        resize: Literal["long", "short"]

    finish: FinishConfig | None = None
    """The last step: a trained network that the picture passes through before it is saved, such as one that enlarges
    it. The key `finish` of the manifest gives it to all methods that have none of their own; `null` leaves it out."""

    @model_validator(mode="before")
    @classmethod
    def _fit_layers(cls, value: Any) -> Any:
        if isinstance(value, dict):
            value = value | dict(reachable_defaults(cls.model_fields, value))
        return value

    @property
    def needs(self) -> Needs:
        """The kinds of images that a cell is made from."""
        return frozenset(("content", "style"))

    @property
    def masks(self) -> Literal["none", "allowed", "needed", "content"]:
        """Which images have masks: none; all or none (`allowed`); all (`needed`); or the content alone (`content`)."""
        return "none"

    @property
    def sizes_styles(self) -> bool:
        """Whether the size of a style image makes a difference."""
        return True

    @property
    def adds_styles(self) -> bool:
        """Whether the styles of a mix may be added (`mix: sum`), which is defined for Gram matrices alone."""
        return False

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture in pixels; None where the content image decides its proportions."""
        return None

    @property
    def side(self) -> int:
        """Side in pixels of the square by which the number of cells in a batch is chosen."""
        return max(self.canvas or self.square)

    @property
    def pixels(self) -> float:
        """Number of pixels of the picture; an estimate for a 4:3 image where the content image decides it."""
        if self.canvas:
            return float(self.canvas[0] * self.canvas[1])
        return self.square[0] ** 2 * (4 / 3 if self.resize == "short" and not self.takes_original_size else 0.75)

    @property
    def square(self) -> tuple[int, int]:
        """Width and height in pixels of a square picture; an assumption with `size: original`."""
        side = ASSUMED_SIDE if self.takes_original_size else int(self.size)
        return side, side

    @property
    def takes_original_size(self) -> bool:
        """Whether the picture has the size of the content image."""
        return bool(self.size == "original")

    @property
    def start_picture(self) -> StartPicture | None:
        """The picture that the optimisation starts from where the settings name one."""
        init = getattr(self, "init", None)
        return init if isinstance(init, StartPicture) else None

    def conflicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield the settings that do not fit together: the setting at fault, what is wrong, and a hint."""
        if self.takes_original_size and self.canvas:
            yield "size", "with these settings there is no content image whose size could be taken", "give a number"

    def remarks(self) -> Iterator[str]:
        """Yield sentences that planning says about the settings, without a full stop; none by default."""
        yield from ()

    @property
    def cost(self) -> float:
        """Cost of one cell: pixels x steps, summed over the levels of a pyramid; one pass of a network is one step."""
        raise NotImplementedError

    def of_frame(self, *, first: bool) -> Self:  # noqa: ARG002  what optimises pixels looks at it
        """Return the settings of a frame of a clip, given whether it is the first one of its shot."""
        return self

    def clip_cost(self, frames: int) -> float:
        """Return the cost of a clip of this many frames, as if it were one shot."""
        return self.cost * frames

    @property
    def motion(self) -> MotionBlock | None:
        """How frames follow from those before; None for a method that makes every frame of a clip by itself."""
        video = getattr(self, "video", None)
        return video if isinstance(video, MotionBlock) else None

    @property
    def arithmetic(self) -> str:
        """The precision in which its networks compute; "" for a method without a network."""
        return getattr(self, "precision", "")

    @property
    def loss_network(self) -> BackboneConfig | None:
        """The backbone that measures the pictures; None for a method that measures nothing."""
        return None

    @property
    def weights_as_written(self) -> list[str]:
        """The weights as the manifest names them: part of a cell's address, not of its id."""
        raise NotImplementedError


class PixelMethod(Method):
    """Settings of a method that optimises the pixels of a picture through a backbone."""

    if TYPE_CHECKING:
        steps: int
        pyramid: PyramidConfig
        backbone: BackboneConfig
        precision: Precision
        trace_every: int

    VERSION: ClassVar[int] = 4
    REVISED: ClassVar[Mapping[str, Mapping[Any, int]]] = {}

    NOT_PIXELS: ClassVar[frozenset[str]] = Method.NOT_PIXELS | {"trace_every"}

    CARRIES_DETAIL: ClassVar[bool] = False
    """Whether the levels after the first take over the detail of an image that the picture starts from. Tried, and of
    no use, for `mdan`."""

    IN_TILES: ClassVar[bool] = True
    """Whether a picture that is too large for the memory passes in tiles."""

    NO_EFFECT: ClassVar[tuple[NoEffect, ...]] = (
        NoEffect("steps", {"pyramid.levels": (1,)}, unless={"pyramid.first_steps": (None,)}),
        NoEffect("pyramid.factor", {"pyramid.levels": (1,)}),
        NoEffect("pyramid.warm_start", {"pyramid.levels": (1,)}),
        NoEffect("backbone.input", {"backbone.weights": ("random", *DISTILLED)}),
        NoEffect("backbone.seed", unless={"backbone.weights": ("random",)}),
    )

    @property
    def version(self) -> int:
        """The version of what is made with these values: one more where levels take over detail, since version 4."""
        return super().version + self.carries_detail

    @property
    def carries_detail(self) -> bool:
        """Whether each level of the pyramid starts from the one before and what only its size shows of the start."""
        return self.CARRIES_DETAIL and self.pyramid.levels > 1 and getattr(self, "init", "noise") != "noise"

    @property
    def least_positions(self) -> int:
        """Smallest side that the feature maps need, in positions."""
        return 1

    @property
    def stop(self) -> EarlyStopConfig | None:
        """When a picture is left as it is before all steps are done; None for a method whose pictures never are."""
        stop: EarlyStopConfig | None = getattr(self, "early_stop", None)
        return stop

    def conflicts(self) -> Iterator[tuple[str, str, str]]:
        """Yield the settings that do not fit together, an early stop and carried moments of Adam among them."""
        yield from super().conflicts()
        optimizer = getattr(self, "optimizer", None)
        if self.stop and self.pyramid.warm_start and self.pyramid.levels > 1 and isinstance(optimizer, AdamConfig):
            message = "a picture that stops early has no moments of Adam for the next level, which warm_start carries"
            yield "early_stop", message, "remove 'early_stop', or set pyramid.warm_start: false"

    def of_frame(self, *, first: bool) -> Self:
        """Return the settings of a frame of a clip: after the first one of a shot it has one level and its own steps.

        Such a frame starts from the frame before, whose large forms are there already.
        """
        video = self.motion
        if first or not isinstance(video, PixelVideoConfig):
            return self
        steps = video.steps or max(1, self.steps // 2)
        return self.model_copy(update={"steps": steps, "pyramid": PyramidConfig()})

    def clip_cost(self, frames: int) -> float:
        """Return the cost of a clip of this many frames, as if it were one shot."""
        video = self.motion
        if not isinstance(video, PixelVideoConfig):
            return self.cost * frames
        later = self.of_frame(first=False).cost
        return self.cost + later * (frames * video.passes - 1)

    @property
    def cost(self) -> float:
        """Cost of one cell: pixels x steps, summed over the levels of the pyramid."""
        return self.pixels * sum(scale**2 * steps for scale, steps in self.pyramid.schedule(self.steps))

    @property
    def loss_network(self) -> BackboneConfig:
        """The backbone that measures the pictures."""
        return self.backbone

    @property
    def weights_as_written(self) -> list[str]:
        """The weights of the backbone, as the manifest names them."""
        return [self.backbone.weights]
