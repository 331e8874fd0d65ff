"""The measurements themselves, in a process that is bound to one device and has imported torch."""

from __future__ import annotations

import os
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nst.backbones import build_backbone
from nst.benchmarks.cases import CONTENT_LAYERS, DESCENTS, PATCH_LAYERS, STYLE_LAYERS, WARM_UP
from nst.benchmarks.operations import FORWARD_AND_BACK, forward_operations
from nst.benchmarks.report import Ceiling, summed_up
from nst.config import METHOD_CONFIGS
from nst.config.backbone import BackboneConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.training import TRAINING_CONFIGS
from nst.losses.objective import arithmetic
from nst.methods import stylize_batch
from nst.networks import Origin, build_network, metadata_of
from nst.pictures.images import Pixels
from nst.training import Trainer
from nst.workspace import NetworkFile, Request, Workspace
from tasks.bench.clock import Clock, peak, reset_peak
from tasks.work.calibration import packaged_weights
from tasks.work.workplace import processor_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from nst.benchmarks.cases import Case
    from nst.benchmarks.report import Measured
    from nst.config.fields import Precision

_CALLS = 7
"""Calls of a convolution that count."""

_CHANGES: dict[str, dict[str, Any]] = {
    "gatys": {"name": "gatys", "style_layers": list(STYLE_LAYERS)},
    "moments": {"name": "gatys", "style_layers": list(STYLE_LAYERS), "style_representation": "moments"},
    "photorealism": {"name": "gatys", "style_layers": list(STYLE_LAYERS), "photorealism_weight": 1.0},
    "mrf": {"name": "mrf", "style_layers": list(PATCH_LAYERS)},
}
"""The settings of what is optimised, beside those that all have."""


def describe(device: str) -> tuple[str, int]:
    """Return the model name of a device and its memory in bytes."""
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        return str(properties.name), int(properties.total_memory)
    return processor_name(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def measure_ceiling(precision: Precision, shapes: tuple[tuple[int, int, int, int], ...], device: str) -> Ceiling:
    """Time convolutions of VGG's shapes in channels-last order.

    Args:
        precision: Arithmetic: with `bfloat16` maps and weights are of this type.
        shapes: Pictures, channels, rows and columns of each.
        device: `cpu`, `cuda` or `mps`.
    """
    dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
    rates, by_processor = [], []
    with torch.no_grad(), arithmetic(precision, torch.device(device)):
        for batch, channels, height, width in shapes:
            maps = _channels_last(torch.randn(batch, channels, height, width, device=device, dtype=dtype))
            weights = _channels_last(torch.randn(channels, channels, 3, 3, device=device, dtype=dtype))
            clock = Clock(device)
            for _ in range(WARM_UP + _CALLS):
                functional.conv2d(maps, weights, padding=1)
                clock.mark()
            operations = 2 * 9 * channels**2 * height * width * batch
            rates.append(operations / statistics.median(clock.seconds()))
            if seconds := clock.processor_seconds():
                by_processor.append(operations / statistics.median(seconds))
    return Ceiling(precision, shapes, tuple(rates), tuple(by_processor) or None)


def _channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def measure(case: Case, ceiling: Ceiling | None, device: str) -> Measured:
    """Time the steps of a case.

    Args:
        case: What is measured.
        ceiling: Of the same precision; None where unknown.
        device: `cpu`, `cuda` or `mps`.

    Raises:
        NstError: A picture failed.
        RuntimeError: As torch raises it, above all when memory is short.
    """
    reset_peak(device)
    clock = Clock(device)
    timed = _descent if case.what in DESCENTS else _training if case.what == "training" else _one_pass
    operations = timed(case, device, clock)
    return summed_up(
        case,
        clock.seconds(),
        clock.processor_seconds(),
        peak_bytes=peak(device),
        operations=operations,
        ceiling=ceiling,
    )


def _descent(case: Case, device: str, clock: Clock) -> int:
    """Optimise pictures, and return the operations of the convolutions of a step.

    L-BFGS remembers no more pairs of pictures than it has taken steps: with all of them a step takes a little longer.
    """
    backbone = {"weights": "embedded"} if case.network == "embedded" else {"name": case.network, "weights": "random"}
    settings = {
        **_CHANGES[case.what], "size": case.size, "steps": WARM_UP + case.steps, "precision": case.precision,
        "content_layers": list(CONTENT_LAYERS), "pyramid": {"levels": 1}, "trace_every": 0, "backbone": backbone,
    }  # fmt: skip
    config = METHOD_CONFIGS[settings["name"]].model_validate(settings)
    content, styles = _picture(0, case.size), [_picture(seed, case.size) for seed in (1, 2)]
    requests = [
        Request(f"cell-{number}", content, (styles[number % 2],), (1.0,), "targets", config)
        for number in range(case.batch)
    ]
    _paint(requests, Workspace(device, packaged_weights), clock.mark)
    network, shapes = config.loss_network, None
    assert network is not None
    if network.distilled:
        shapes = {key: tuple(tensor.shape) for key, tensor in packaged_weights(network).items()}
    height, width = content.array.shape[:2]
    layers = {*CONTENT_LAYERS, *settings["style_layers"]}
    return FORWARD_AND_BACK * case.batch * forward_operations(network.name, layers, width, height, shapes)


def _one_pass(case: Case, device: str, clock: Clock) -> int:
    """Stylize by a network that was never trained, and return the operations of the convolutions of a pass."""
    config = FeedforwardConfig(family=case.network, model="x", size=case.size, precision=case.precision)
    model = _untrained(case.network)
    style = (_picture(0, case.size),) if config.network.KNOWS == "any" else ()
    requests = [
        Request(f"cell-{number}", _picture(1 + number, case.size), style, (1.0,) * len(style), "targets", config,
                model=model)
        for number in range(case.batch)
    ]  # fmt: skip
    workspace = Workspace(device, packaged_weights)
    return _repeated(lambda: _paint(requests, workspace), case, clock)


def _training(case: Case, device: str, clock: Clock) -> int:
    """Train on photographs of noise, and return the operations of the convolutions of a step."""
    config = TRAINING_CONFIGS[case.network].model_validate({
        "size": case.size, "batch_size": case.batch, "precision": case.precision,
        "backbone": {"name": "vgg19" if case.network == "adain" else "vgg16", "weights": "random"},
    })  # fmt: skip
    photographs = np.random.default_rng(0).integers(0, 256, (64, case.size, case.size, 3), np.uint8)
    styles = [_picture(1, case.size)]
    trainer = Trainer(config, styles, Workspace(device, packaged_weights), photographs)
    return _repeated(trainer.step, case, clock)


def _repeated(step: Callable[[], object], case: Case, clock: Clock) -> int:
    """Call a step often enough, and return the operations of the convolutions of the first call, as torch counts."""
    with FlopCounterMode(display=False) as counter:
        step()
    clock.mark()
    for _ in range(WARM_UP - 1 + case.steps):
        step()
        clock.mark()
    counts = counter.get_flop_counts()["Global"]
    return int(sum(count for operation, count in counts.items() if "convolution" in str(operation)))


def _paint(requests: list[Request], workspace: Workspace, on_step: Callable[..., None] | None = None) -> None:
    """Make the pictures of a batch.

    Raises:
        NstError: One failed.
    """
    for result in stylize_batch(requests, workspace, on_step):
        if result.error:
            raise result.error


def _picture(seed: int, size: int) -> Pixels:
    """Return a picture of noise, 4:3."""
    return Pixels(f"noise-{seed}", np.random.default_rng(seed).integers(0, 256, (size * 3 // 4, size, 3), np.uint8))


def _untrained(family: str) -> NetworkFile:
    """Return a network of a family as a model's file would hold it, with the weights that a training begins with."""
    config: Any = TRAINING_CONFIGS[family].model_validate({})
    encoder = None
    if family in {"adain", "mgan"}:
        encoder = build_backbone(BackboneConfig(weights="random", padding="reflect"), [config.layer], None)
    tensors = build_network(config, Origin(encoder=encoder)).state_dict()
    metadata = metadata_of(config, [_picture(0, 64).digest], 0)
    return NetworkFile(family, lambda: (metadata, tensors))
