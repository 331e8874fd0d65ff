"""Seconds per cell: alone in a fresh process (how scripts do it), alone warm, in batches; float32 and bfloat16.

The last line says what the photorealism loss and its gradient add to a step.

All in one run on one machine, so that the ratios hold. On a GPU (`--device cuda --size 512 --steps 500 --batches
1,2,4,8,16,32`) it also prints the share of the measured matrix-multiplication ceiling that the backbone reaches.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

import numpy as np
import torch

from nst.config import GatysConfig
from nst.losses.matting import local_colors, photorealism_loss
from nst.methods import stylize_batch
from nst.pictures.images import Pixels
from nst.workspace import Request, Workspace
from tasks.work.workplace import keep_freed_memory

LAYERS = {"content_layers": ["relu4_1"], "style_layers": ["relu1_1", "relu2_1", "relu3_1", "relu4_1"]}


def pixels(seed: int, size: int) -> Pixels:
    array = np.random.default_rng(seed).integers(0, 256, (size * 3 // 4, size, 3), np.uint8)
    return Pixels(f"image-{seed}", array)


def seconds_per_cell(workspace: Workspace, batch: int, steps: int, size: int, precision: str) -> float:
    config = GatysConfig(
        size=size, steps=steps, precision=precision, trace_every=0, pyramid={"levels": 1},
        backbone={"name": "vgg19", "weights": "random"}, **LAYERS,
    )  # fmt: skip
    content = pixels(0, size)
    requests = [
        Request(f"cell-{n}", content, (pixels(1 + n % 2, size),), (1.0,), "targets", config) for n in range(batch)
    ]
    started = time.perf_counter()
    outcomes = stylize_batch(requests, workspace)  # returns pictures on the host, so nothing is left to wait for
    seconds = time.perf_counter() - started
    assert all(outcome.image is not None for outcome in outcomes)
    return seconds / batch


def seconds_of_photorealism(device: str, size: int) -> float:
    """Return the median time of the photorealism loss and its gradient for one picture."""
    content, picture = torch.rand(2, 1, 3, size * 3 // 4, size, device=device)
    known, free = local_colors(content), picture.requires_grad_()
    times = []
    for _ in range(20):
        started = time.perf_counter()
        torch.autograd.grad(photorealism_loss(free, known).sum(), free)[0].sum().item()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def matmul_ceiling(device: str, dtype: torch.dtype) -> float:
    """Return floating-point operations per second of a large matrix product."""
    size = 8192 if device == "cuda" else 1024
    a = torch.randn(size, size, device=device, dtype=dtype)
    rates = []
    for _ in range(5):
        started = time.perf_counter()
        (a @ a)[0, 0].item()
        rates.append(2 * size**3 / (time.perf_counter() - started))
    return statistics.median(rates)


def operations_per_step(size: int) -> float:
    """Return floating-point operations of VGG-19 to relu4_1 forward and back to the picture, at 4:3."""
    shapes = [(3, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 2), (128, 256, 4), *[(256, 256, 4)] * 3, (256, 512, 8)]
    forward = sum(2 * 9 * a * b * (size / s) * (0.75 * size / s) for a, b, s in shapes)
    return 2 * forward


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--fresh", action="store_true", help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.fresh:
        seconds_per_cell(Workspace(settings.device, dict), 1, settings.steps, settings.size, "float32")
        return

    command = [sys.executable, __file__, "--fresh", "--device", settings.device]
    command += ["--size", str(settings.size), "--steps", str(settings.steps)]
    fresh = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True)
        fresh.append(time.perf_counter() - started)
    alone = statistics.median(fresh)
    name = torch.cuda.get_device_name() if settings.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"VGG-19 to relu4_1, {settings.size} px, {settings.steps} steps of L-BFGS, {name}, torch {torch.__version__}")
    print(f"{'':26}{'s per cell':>12}{'against fresh':>15}{'of ceiling':>12}")
    print(f"{'fresh process':26}{alone:12.3f}{1:14.2f}x")
    keep_freed_memory()  # as workers do
    ceilings: dict[str, float] = {}
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        ceilings[precision] = matmul_ceiling(settings.device, dtype)
        workspace = Workspace(settings.device, dict)
        # A CPU without bfloat16 instructions emulates them, a hundred times slower: one step says it all.
        emulated = ceilings[precision] < ceilings["float32"] / 4
        steps = 1 if emulated else settings.steps
        seconds_per_cell(workspace, 1, steps, settings.size, precision)
        for batch in [1] if emulated else map(int, settings.batches.split(",")):
            times = [
                seconds_per_cell(workspace, batch, steps, settings.size, precision) for _ in range(1 if emulated else 3)
            ]
            seconds = statistics.median(times)
            share = operations_per_step(settings.size) * steps / seconds / ceilings[precision]
            label = f"warm, {precision}, batch {batch}"
            ratio = "" if emulated else f"{alone / seconds:14.2f}x"
            note = "  1 step, emulated" if emulated else ""
            print(f"{label:26}{seconds:12.3f}{ratio:>15}{share:12.0%}{note}", flush=True)
    step = (
        seconds_per_cell(Workspace(settings.device, dict), 1, settings.steps, settings.size, "float32") / settings.steps
    )
    added = seconds_of_photorealism(settings.device, settings.size)
    print(f"photorealism_weight adds {1000 * added:.1f} ms to a step of {1000 * step:.1f} ms: {added / step:.1%}")


if __name__ == "__main__":
    main()
