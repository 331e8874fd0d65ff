"""Settings that several methods have: their types, bounds and words, written once."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nst.config.architectures import LAYERS

Needs = frozenset[Literal["content", "style"]]
"""The images that a cell is made from."""

Mix = Literal["targets", "losses"]
"""How a style made of several images is mixed: their Gram targets averaged, or their losses summed."""

Representation = Literal["gram", "moments", "sliced", "histogram"]
"""What of the features a style loss compares, by name (`nst.losses.style`)."""

Weight = Annotated[float, Field(ge=0, le=1e15)]
Pixels = Annotated[int, Field(ge=16, le=16384)]


class LayerMark:
    """Marks a text as the name of a layer, so that messages and checks need not guess it from the field's name."""


LayerName = Annotated[str, Field(pattern=rf"^({'|'.join(LAYERS)})$"), LayerMark()]
"""A layer of some backbone (`nst.config.architectures`); that the chosen backbone has it is checked later."""


def _layer_weights(value: Any) -> Any:
    """Accept a list of layers as equal weights that add up to one."""
    if isinstance(value, str):
        value = [value]
    if isinstance(value, list | tuple) and value and all(isinstance(layer, str) for layer in value):
        return dict.fromkeys(value, 1.0 / len(value))
    return value


LayerWeights = Annotated[dict[LayerName, Weight], BeforeValidator(_layer_weights), Field(min_length=1)]

Seed = Annotated[int, Field(ge=0, lt=2**31)]
Noise = Annotated[float, Field(gt=0, le=1)]
Steps = Annotated[
    int,
    Field(
        ge=1, le=100_000, description="Evaluations of the loss and its gradient at each level of the pyramid."
    ),
]  # fmt: skip
Precision = Annotated[
    Literal["float32", "tf32", "bfloat16", "float64"],
    Field(
        description="Arithmetic of the backbone; losses and the picture stay in float32 (float64 with `float64`). "
        "A CPU without instructions for `bfloat16` emulates it, a hundred times slower."
    ),
]  # fmt: skip
TraceEvery = Annotated[
    int,
    Field(ge=0, description="Record the losses every so many steps in the `traces` table; 0 records none."),
]  # fmt: skip
