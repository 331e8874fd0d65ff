"""What every method answers for itself, beside its settings: all that planning, checking and running ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nst.config.block import NamedBlock, Settings

if TYPE_CHECKING:
    from nst.config.backbone import BackboneConfig
    from nst.config.fields import Needs, Precision
    from nst.config.optimizer import PyramidConfig


class Method(NamedBlock, Settings):
    """Settings of one method."""

    RUNS_NETWORK: ClassVar[bool] = False
    """Whether a cell is made by a trained network, which is chosen for it (`nst.records.ModelRef`)."""

    SHARES_CONTENT: ClassVar[bool] = True
    """Whether the cells of one batch must have the same content image."""

    REPORTS: ClassVar[Mapping[str, tuple[Literal["string", "float64"], str]]] = {}
    """Columns of `results` that this method alone fills in: name to type and description."""

    if TYPE_CHECKING:  # every method declares these fields, each with its own description and default
        name: Any
        size: int
        resize: Literal["long", "short"]
        precision: Precision

    @property
    def needs(self) -> Needs:
        """The images that a cell is made from."""
        return frozenset(("content", "style"))

    @property
    def masks(self) -> Literal["none", "allowed", "needed", "content"]:
        """Whether masks of the images are looked at with these settings; `content`: that of the content is needed."""
        return "none"

    @property
    def canvas(self) -> tuple[int, int] | None:
        """Width and height of the picture where no content image decides them, else None."""
        return None

    @property
    def side(self) -> int:
        """Pixels of the side of the square that a batch is sized by."""
        return max(self.canvas) if self.canvas else self.size

    @property
    def pixels(self) -> float:
        """How many pixels a picture has; where a content image decides, about how many if it is 4:3."""
        if self.canvas:
            return float(self.canvas[0] * self.canvas[1])
        return self.size**2 * (0.75 if self.resize == "long" else 4 / 3)

    @property
    def cost(self) -> float:
        """Cost of one cell: pixels x steps, summed over the levels of a pyramid; one pass of a network is one step."""
        raise NotImplementedError

    @property
    def loss_network(self) -> BackboneConfig | None:
        """The backbone that pictures are measured through; None for a method that measures nothing."""
        return None

    @property
    def weights_as_written(self) -> list[str]:
        """Which weights the manifest asks for, as written: part of a cell's address, not of its id."""
        raise NotImplementedError


class PixelMethod(Method):
    """Settings of a method that optimises the pixels of a picture through a backbone."""

    if TYPE_CHECKING:
        steps: int
        pyramid: PyramidConfig
        backbone: BackboneConfig
        trace_every: int

    NOT_PIXELS: ClassVar[frozenset[str]] = frozenset({"trace_every"})

    @property
    def cost(self) -> float:
        """Cost of one cell: pixels x steps, summed over the levels of the pyramid."""
        return self.pixels * sum(scale**2 * steps for scale, steps in self.pyramid.schedule(self.steps))

    @property
    def loss_network(self) -> BackboneConfig:
        """The backbone that pictures are measured through."""
        return self.backbone

    @property
    def weights_as_written(self) -> list[str]:
        """Where the weights of the backbone lie, as written."""
        return [self.backbone.weights]
