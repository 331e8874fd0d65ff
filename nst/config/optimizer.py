"""How the picture is optimised: L-BFGS or Adam, over one size or a pyramid of sizes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from nst.config.block import Block, NamedBlock


class LbfgsConfig(NamedBlock):
    """Batched L-BFGS: one history and one step length per image (`nst.optimize.lbfgs`)."""

    name: Literal["lbfgs"] = "lbfgs"

    history: Annotated[int, Field(ge=1, le=200)] = 50
    """Pairs (s, y) remembered per image, two pictures of memory each. torch and ProGamerGov/neural-style-pt use 100;
    measured here on three problems, 50 ends as low as 100, and 20 up to 5 % higher."""

    max_move: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Largest root-mean-square change of a picture in one step, in units of the [0, 1] range."""


class AdamConfig(NamedBlock):
    """Adam (Kingma & Ba 2015), element-wise and therefore exact in a batch."""

    name: Literal["adam"] = "adam"

    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.02
    """In units of the [0, 1] range; 0.02 as in crowsonkb/style-transfer-pytorch."""

    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the mean gradient."""

    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the mean squared gradient; 0.99 in crowsonkb, 0.999 in the paper."""

    epsilon: Annotated[float, Field(gt=0, le=1)] = 1e-8
    """Added to the root of the mean squared gradient, in units of the first gradient."""

    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of a bias-corrected average of the iterates, which is the result; 0 is off, 0.99 in crowsonkb."""


def _optimizer_name(value: Any) -> str:
    if isinstance(value, str):
        return value
    name = value.get("name", "lbfgs") if isinstance(value, dict) else getattr(value, "name", "lbfgs")
    return str(name)


OptimizerConfig = Annotated[
    Annotated[LbfgsConfig, Tag("lbfgs")] | Annotated[AdamConfig, Tag("adam")], Discriminator(_optimizer_name)
]


class PyramidConfig(Block):
    """Coarse to fine: the picture is optimised at growing sizes, each level starting from the one before."""

    levels: Annotated[int, Field(ge=1, le=8)] = 1
    """Number of sizes, the last being `size`."""

    factor: Annotated[float, Field(ge=0.25, lt=1)] = 0.5
    """Size of a level over that of the next."""

    first_steps: Annotated[int, Field(ge=1)] | None = None
    """Steps at the coarsest level; the other levels take `steps`."""

    warm_start: bool = False
    """Adam only: carry the moments to the next level, resized (crowsonkb/style-transfer-pytorch `scale_adam`)."""

    def schedule(self, steps: int) -> list[tuple[float, int]]:
        """Return (size over the last one's, steps) of every level, coarse to fine."""
        scales = [self.factor ** (self.levels - 1 - level) for level in range(self.levels)]
        return [
            (scale, self.first_steps if level == 0 and self.first_steps else steps)
            for level, scale in enumerate(scales)
        ]
