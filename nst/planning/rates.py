"""Rates: seconds per unit of cost, by what they depend on. They turn the cost of cells into estimates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.config.backbone import DISTILLED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.method import Method
    from nst.records import Batch

Rate = tuple[str, str, str]
"""What a cell's seconds per unit of cost depend on: the method and whether a network finishes its pictures (`walk_of`),
the network that measures (`network_of`), and the precision; "" for a network or a precision that the method lacks."""


def rate_of(config: Method) -> Rate:
    """Return what the seconds of a cell with these settings depend on."""
    backbone = config.loss_network
    return (
        walk_of(config.name, finishes=config.finish is not None),
        network_of(backbone.name, backbone.weights) if backbone else "",
        config.arithmetic,
    )


def walk_of(method: str, *, finishes: bool) -> str:
    """Return a method's name, marked where a trained network finishes its pictures, which takes time of its own."""
    return f"{method} with finish" if finishes else method


def network_of(backbone: str, weights: str) -> str:
    """Return the name of a network as far as its speed depends on it: distilled weights make a smaller network."""
    return f"{backbone} {weights}" if weights in DISTILLED else backbone


class LearnedRates(dict[Rate, float]):
    """The rates of the history, each replaced by what the running sweep measures as soon as it has measured it.

    Args:
        history: Seconds per unit of cost.
    """

    def __init__(self, history: Mapping[Rate, float]) -> None:
        super().__init__(history)
        self._seconds: defaultdict[Rate, float] = defaultdict(float)
        self._costs: defaultdict[Rate, float] = defaultdict(float)

    def learn(self, batch: Batch, seconds: float, done: int) -> None:
        """Take in what a batch took.

        Args:
            batch: The batch.
            seconds: Its duration on one device; 0 if it was not measured.
            done: The number of its cells that are done; what failed is not counted.
        """
        if seconds <= 0 or not done:
            return
        rate = rate_of(batch.cells[0].config)
        self._seconds[rate] += seconds
        self._costs[rate] += batch.cost * done / len(batch.cells)
        self[rate] = self._seconds[rate] / self._costs[rate]


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a short trial on a device measured of one kind of cells.

    Attributes:
        seconds_per_cost: Seconds per unit of cost.
        fixed_bytes: Memory that does not grow with the pictures.
        bytes_per_pixel: Memory per pixel of all pictures of a batch.
        device_bytes: Memory of the device; on a CPU, what is available when nothing of nst runs.
    """

    seconds_per_cost: float
    fixed_bytes: float
    bytes_per_pixel: float
    device_bytes: float

    def batch_bytes(self, pixels: float) -> float:
        """Return the memory of a batch whose pictures have this many pixels together."""
        return self.fixed_bytes + self.bytes_per_pixel * pixels
