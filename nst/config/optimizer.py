"""Settings of how the pixels are optimised: L-BFGS or Adam, at one size or over a pyramid of sizes."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Discriminator, Field, Tag

from nst.config.block import Block, NamedBlock


class LbfgsConfig(NamedBlock):
    """Batched L-BFGS: one history and one step length per image (`nst.optimize.lbfgs`)."""

    name: Literal["lbfgs"] = "lbfgs"

    history: Annotated[int, Field(ge=1, le=200)] = 20
    """Number of past steps remembered per image, each taking the memory of two pictures (100 in torch and in
    ProGamerGov/neural-style-pt). On two problems measured here, 20 ends at a loss up to 1 % higher than 50,
    which ends at one as low as 100."""

    max_move: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Largest root-mean-square change of a picture in one step, in units of the [0, 1] range."""

    def pairs(self, steps: int) -> int:
        """Return for how many pairs so many steps need memory: each step after the first one may add a pair."""
        return min(self.history, max(1, steps - 1))


class AdamConfig(NamedBlock):
    """Adam (Kingma & Ba 2015), element-wise and therefore exact in a batch."""

    name: Literal["adam"] = "adam"

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.02
    """Learning rate, in units of the [0, 1] range (0.02 in crowsonkb/style-transfer-pytorch)."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the mean gradient (0.9 in Kingma & Ba 2015)."""

    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the mean squared gradient (0.99 in crowsonkb/style-transfer-pytorch, 0.999 in Kingma & Ba 2015)."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """Number added to the root of the mean squared gradient, in units of the root-mean-square value of the first
    gradient (1e-8 in Kingma & Ba 2015)."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the bias-corrected average of all iterates, which becomes the result (0.99 in
    crowsonkb/style-transfer-pytorch). With 0 the last iterate is the result."""


def _optimizer_name(value: Any) -> str:
    if isinstance(value, str):
        return value
    name = value.get("name", "lbfgs") if isinstance(value, dict) else getattr(value, "name", "lbfgs")
    return str(name)


OptimizerConfig = Annotated[
    Annotated[LbfgsConfig, Tag("lbfgs")] | Annotated[AdamConfig, Tag("adam")], Discriminator(_optimizer_name)
]


class EarlyStopConfig(Block):
    """A picture is left as it is once its loss stands still, at each level of the pyramid by itself.

    The criterion looks at each picture alone, so that its batch makes no difference.
    """

    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.001
    """A loss stands still when its lowest value so far has fallen by no more than this share over the last `patience`
    steps."""

    patience: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Number of steps over which the fall of the loss is looked at; no level takes fewer, unless `steps` is less."""


class PyramidConfig(Block):
    """Coarse to fine: the picture is optimised at growing sizes, and each level starts from the result before it.

    In `gatys`, `mrf` and `doodle`, what only its own size shows of the image that the picture started from is added;
    with `init: noise` there is no such image.
    """

    levels: Annotated[int, Field(ge=1, le=8)] = 1
    """Number of levels; the last one has the full size of the picture."""

    factor: Annotated[float, Field(ge=0.25, lt=1)] = 0.5
    """Size of a level divided by the size of the next level."""

    first_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at the coarsest level; all other levels, and without a value this one too, take `steps`."""

    warm_start: bool = False
    """Carry the moments of Adam, resized, to the next level (`scale_adam` in crowsonkb/style-transfer-pytorch). Without
    effect on L-BFGS."""

    def schedule(self, steps: int) -> list[tuple[float, int]]:
        """Return (size divided by the last level's size, number of steps) of every level, coarse to fine."""
        scales = [self.factor ** (self.levels - 1 - level) for level in range(self.levels)]
        return [
            (scale, self.first_steps if level == 0 and self.first_steps else steps)
            for level, scale in enumerate(scales)
        ]


_LARGE: Final = 128
"""Long side in pixels from which on a picture has forms that only a coarser level sees."""


def coarse_to_fine(*sides: Any) -> dict[str, Any]:
    """Return the pyramid of a picture whose manifest names none: two levels, or one if the picture is small.

    Two levels cost a quarter more than one and give the large forms of a style, such as swirls and waves, where one
    level gives a texture of short strokes, however many steps it takes (own trials, looked at).

    Args:
        sides: Sides of the picture in pixels as the manifest has them, or words such as `original`.
    """
    pixels = [side for side in sides if isinstance(side, int | float)]
    return {"levels": 2 if max(pixels, default=_LARGE) >= _LARGE else 1}


EarlyStop = Annotated[
    EarlyStopConfig | None,
    Field(
        description="When a picture is left as it is before all `steps` are done; by default never. The column "
        "`steps_done` tells how many steps it took."
    ),
]
