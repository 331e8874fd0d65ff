"""Short trials on a device: seconds and memory of each kind of cells that a plan holds, before the first of them runs.

A trial paints two small pictures of noise for a few steps, with random weights of the same network, in a process of its
own, whose peak memory is then that of the trial. Figures for larger pictures follow by proportion: they are estimates.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any, Final

from nst.config.optimizer import LbfgsConfig
from nst.planning.rates import Calibration, rate_of
from tasks.inputs.uris import read_uri
from tasks.inputs.weights import packaged_uri
from tasks.planning.calibration import keep_calibrations
from tasks.work.devices import pin, usable_cores
from tasks.work.workplace import memory_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor

    from nst.config.backbone import BackboneConfig
    from nst.config.method import Method
    from nst.planning.rates import Rate
    from nst.workspace import Request

_SIDES: Final = (128, 192)
"""Sides of the two pictures in pixels: large enough for the deepest layers, small enough for a few seconds."""

_STEPS: Final = (2, 5)
"""Steps of a short trial and of a longer one. The memory of more pairs of L-BFGS is added by arithmetic."""


def calibrate(configs: Iterable[Method], device: str) -> dict[Rate, Calibration]:
    """Measure one configuration of each kind on a device, and keep the figures in the user's cache.

    Kinds that run a trained network are left out: the network may not exist yet. So is what fails.

    Args:
        configs: Settings of the cells that are to be run.
        device: Name of the device: `cpu`, `cuda:<n>`, `mps`.
    """
    kinds: dict[Rate, Method] = {}
    for config in configs:
        if not config.RUNS_NETWORK:
            kinds.setdefault(rate_of(config), config)
    measured = {}
    for rate, config in kinds.items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as trial:
            try:
                found = trial.submit(_measure, config, device).result()
            except BrokenProcessPool:  # killed, perhaps for its memory
                found = None
        if found is not None:
            measured[rate] = found
    keep_calibrations(device, measured)
    return measured


def _measure(config: Method, device: str) -> Calibration | None:
    """Return what a trial measures, in a process that has not imported torch yet; None if its pictures fail."""
    device = pin(device)
    import torch

    from nst.methods import stylize_batch
    from nst.workspace import Workspace
    from tasks.work.workplace import peak_memory, reset_peak_memory

    torch.set_num_threads(usable_cores())
    workspace = Workspace(device, packaged_weights)
    small, large = (_trial(config, side, _STEPS[0]) for side in _SIDES)
    longer = _trial(config, _SIDES[1], _STEPS[1])
    peaks, seconds, costs = [], [], []
    for request in (small, large, longer):
        reset_peak_memory(device)
        started = time.perf_counter()
        (result,) = stylize_batch([request], workspace)
        if result.error:
            return None
        seconds.append(time.perf_counter() - started)
        peaks.append(peak_memory(device))
        costs.append(request.config.cost)
    more = seconds[2] - seconds[1]  # what a picture pays once, such as its targets, cancels out
    pixels = [side**2 for side in _SIDES]
    slope = max(0.0, (peaks[1] - peaks[0]) / (pixels[1] - pixels[0]))
    optimizer = getattr(config, "optimizer", None)
    steps = getattr(config, "steps", 0), _STEPS[0]
    pairs, tried = map(optimizer.pairs, steps) if isinstance(optimizer, LbfgsConfig) else (0, 0)  # Adam has none
    return Calibration(
        seconds_per_cost=more / (costs[2] - costs[1]) if more > 0 and costs[2] > costs[1] else seconds[2] / costs[2],
        fixed_bytes=max(0.0, peaks[0] - slope * pixels[0]),
        bytes_per_pixel=slope + 24.0 * (pairs - tried),  # two pictures of three float32 values each
        device_bytes=memory_of(device),
    )


def packaged_weights(config: BackboneConfig) -> Mapping[str, Tensor]:
    """Return weights that the package holds; a trial asks for no others."""
    from tasks.models.backbone_weights import load_weights

    uri = packaged_uri(config)
    return load_weights(config, uri, f"sha256-{hashlib.sha256(read_uri(uri)).hexdigest()}")


def _trial(config: Method, side: int, steps: int) -> Request:
    """Return a cell of noise with the settings of a configuration, small and short."""
    import numpy as np

    from nst.pictures.images import Pixels
    from nst.pictures.masks import plain_labels
    from nst.workspace import Request

    changes: dict[str, Any] = {"size": side, "steps": steps, "pyramid": {"levels": 1}, "trace_every": 0}
    raw = config.model_dump()
    raw |= {name: value for name, value in changes.items() if name in raw}
    if config.loss_network and not config.loss_network.distilled:
        raw["backbone"]["weights"] = "random"
    raw.update({name: None for name in ("width", "height", "example_size") if name in raw})
    small = type(config).model_validate(raw)
    noise = Pixels("noise", np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8))
    mask = plain_labels("#000000") if config.masks == "needed" else None
    return Request(
        cell_id=f"trial-{side}",
        content=noise if "content" in config.needs else None,
        styles=(noise,) if "style" in config.needs else (),
        style_weights=(1.0,) if "style" in config.needs else (),
        mix="targets",
        config=small,
        content_mask=mask,
        style_masks=(mask,) if mask else (),
    )
