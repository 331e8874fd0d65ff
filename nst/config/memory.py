"""The memory that an optimisation of pixels takes, by arithmetic: what a plan tells, and what a worker goes by.

All bytes are those of one pixel of the picture, so that a batch takes them times the pixels of all its pictures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.config.architectures import ARCHITECTURES, deepest, layers_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from nst.config.convolutions import Convolution
    from nst.config.fields import Precision

SIDES: Final = (1024, 512, 256)
"""Sides in pixels of the tiles in which a picture passes that is too large, margins included. A larger one costs less:
of 1024 pixels a quarter is margins, of 256 two thirds."""

ROOM: Final = 0.7
"""Share of the memory that is free which a batch is planned to take."""

GATHERING: Final = frozenset({"sliced", "histogram"})
"""Values of `style_representation` that compare all values of a feature map by their ranks."""

_SLACK: Final = 1.5
"""Memory that a process holds, divided by that of its tensors: what is freed in between does not fit all that is asked
for next. Seen on a CPU: 1.3 to 1.7, also of one picture in several runs."""

_FLOAT: Final = 4
_INDEX: Final = 8
"""Bytes of a float32, and of where a pooling took a value from."""

_PICTURES: Final = 12 * 9
"""Of the picture, the content, what bounds it, its gradients, and what an optimiser keeps beside its history."""

PAIR: Final = 24
"""Of a step that L-BFGS remembers: two pictures of three float32 values."""


def step_bytes(
    architecture: str,
    convolutions: Iterable[Convolution],
    measured: Collection[str],
    *,
    precision: Precision = "float32",
    pooling: str = "max",
    gathers: bool = False,
) -> float:
    """Return the bytes of a pixel that the tensors of a step take, without the history of the optimiser.

    The gradient needs the output of every convolution (ReLUs work in place), and of every pooling its output and, of a
    maximum, where it was taken from. When the gradient comes to a layer, there are what is kept up to there and maps of
    the layer's size: its own gradient, that of the map before, and that of a Gram matrix. A content is taken to be
    compared at the deepest layer, which has its difference, and three maps on the way to its gradient.

    Args:
        architecture: `vgg16` or `vgg19`.
        convolutions: Its convolutions up to the deepest layer that is measured, with as many filters as they have.
        measured: The layers that terms measure.
        precision: Its arithmetic. Of layers in `bfloat16`, losses take float32 copies. What float64 takes is more: its
            convolutions are torch's own.
        pooling: Whether pooling layers take the maximum (`max`) or the average.
        gathers: Whether the style compares ranks (`GATHERING`): the places of all values are kept, too.
    """
    value = {"bfloat16": 2, "float64": 8}.get(precision, _FLOAT)
    exact = max(value, _FLOAT)
    filters = {convolution.layer: convolution.filters for convolution in convolutions}
    strides = ARCHITECTURES[architecture].strides
    last = deepest(architecture, measured)
    kept, most, channels = 0.0, 0.0, 3
    for layer in layers_of(architecture):
        channels = filters.get(layer, channels)
        values = channels / strides[layer] ** 2
        if layer in filters or layer.replace("relu", "conv") in measured:  # what is measured is not overwritten
            kept += value * values
        elif layer.startswith("pool"):
            kept += (value + (_INDEX if pooling == "max" else 0)) * values
        if layer in measured:
            kept += (exact * (value < exact) + exact * gathers) * values
        of_terms = (6 if layer == last else 1) * exact if layer in measured else 0
        of_network = 0 if layer == last else 2 * value
        most = max(most, kept + (of_terms + of_network) * values)
        if layer == last:
            break
    return most + _PICTURES * exact / _FLOAT


def process_bytes(tensors: float) -> float:
    """Return the bytes that a process takes for tensors of so many bytes."""
    return _SLACK * tensors


@dataclass(frozen=True, slots=True)
class Passage:
    """How pictures pass in so much memory.

    Attributes:
        together: Number of pictures that pass at one time.
        tile: Side in pixels of the tiles in which one picture passes; None for whole pictures.
        bytes: What they take at that.
        fits: Whether that is no more than there is.
    """

    together: int
    tile: int | None
    bytes: float
    fits: bool


def passage(
    pictures: int, pixels: float, each: float, remembered: float, room: float, *, in_tiles: bool = True
) -> Passage:
    """Return how a batch passes: whole, halved as often as needed, and a picture that does not fit alone in tiles.

    Args:
        pictures: Number of pictures of the batch.
        pixels: Number of pixels of each.
        each: Bytes that a process takes for a pixel.
        remembered: Bytes of a pixel that an optimiser remembers, of the whole picture in tiles, too.
        room: Bytes that there are.
        in_tiles: Whether the method's pictures can pass in tiles.

    Example:
        >>> passage(4, 100_000, 1000.0, 200.0, 250e6)
        Passage(together=2, tile=None, bytes=240000000.0, fits=True)
        >>> passage(4, 1_000_000, 1000.0, 200.0, 500e6)
        Passage(together=1, tile=512, bytes=462144000.0, fits=True)
    """
    together = pictures
    while together > 1 and together * pixels * (each + remembered) > room:
        together = math.ceil(together / 2)
    if (whole := together * pixels * (each + remembered)) <= room or not in_tiles:
        return Passage(together, None, whole, whole <= room)
    tile = tile_within(room - pixels * remembered, each, SIDES)
    taken = tile**2 * each + pixels * remembered
    return Passage(1, tile, taken, taken <= room)


def tile_within(room: float, each: float, sides: Iterable[int]) -> int:
    """Return the largest of some sides of tiles whose pixels take no more than there is, or else the smallest."""
    found = sorted(sides, reverse=True)
    return next((side for side in found if side**2 * each <= room), found[-1])
