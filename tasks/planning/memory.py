"""How much memory the batches of a sweep take on this machine, and how they pass in it, told before they run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nst.config.convolutions import NARROWS, check_shapes, convolutions_of
from nst.config.memory import GATHERING, PAIR, ROOM, Passage, passage, process_bytes, step_bytes
from nst.config.method import PixelMethod
from nst.config.optimizer import LbfgsConfig
from nst.planning.layers import measured_layers
from nst.planning.rates import rate_of
from tasks.devices import find_devices
from tasks.inputs.weights import shapes_of
from tasks.memory import available_memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nst.config.backbone import BackboneConfig
    from nst.config.method import Method
    from nst.planning.rates import Calibration, Rate
    from tasks.inputs.weights import WeightsRef
    from tasks.store import Store


@dataclass(frozen=True, slots=True)
class BatchMemory:
    """The memory of a batch.

    Attributes:
        needed: Bytes that it takes as a whole, beside what an idle worker has.
        there_is: Bytes of the device; infinite where they are not known.
        passes: How its pictures pass in the share of the memory that a batch is given; None where they pass whole or
            where it is not known.
    """

    needed: float
    there_is: float
    passes: Passage | None = None

    @property
    def fits(self) -> bool:
        """Whether it runs without running out of memory, as far as that is known."""
        return self.passes.fits if self.passes else self.needed <= self.there_is


def batch_memory(
    config: Method,
    cells: int,
    weights: Mapping[BackboneConfig, WeightsRef],
    calibrations: Mapping[Rate, Calibration],
    store: Store,
) -> BatchMemory | None:
    """Return the memory of a batch; None where neither arithmetic nor a trial tells it.

    Args:
        config: Settings of its cells.
        cells: Number of its cells.
        weights: The weights of the backbones.
        calibrations: What short trials on this machine measured, by kind of cells.
        store: The objects of the root, where the shapes of weights are remembered.
    """
    on_cpu = find_devices() == ["cpu"]
    if isinstance(config, PixelMethod) and config.backbone.name in NARROWS:
        each = process_bytes(_tensors(config, weights[config.backbone], store))
        optimizer = getattr(config, "optimizer", None)
        pairs = optimizer.pairs(config.steps) if isinstance(optimizer, LbfgsConfig) else 0
        needed = cells * config.pixels * (each + pairs * PAIR)
        if not on_cpu:  # a GPU is not asked: where its memory is short, it says so, and the batch is halved
            return BatchMemory(needed, float("inf"))
        there_is = available_memory()
        passes = passage(cells, config.pixels, each, pairs * PAIR, ROOM * there_is, in_tiles=config.IN_TILES)
        as_one = passes.fits and passes.together == cells and not passes.tile
        return BatchMemory(needed, there_is, None if as_one else passes)
    measured = calibrations.get(rate_of(config))
    return BatchMemory(measured.batch_bytes(cells * config.pixels), measured.device_bytes) if measured else None


def _tensors(config: PixelMethod, weights: WeightsRef, store: Store) -> float:
    """Return the bytes of the tensors of a step for each pixel."""
    name = config.backbone.name
    measured = measured_layers(config, name)
    return step_bytes(
        name,
        check_shapes(name, measured, shapes_of(weights, store)) if weights.is_file else convolutions_of(name),
        measured,
        precision=config.precision,
        pooling=config.backbone.pooling,
        gathers=getattr(config, "style_representation", None) in GATHERING,
    )
