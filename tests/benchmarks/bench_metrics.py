"""What metrics without weights and judges cost, against the cell that they belong to.

    python tests/benchmarks/bench_metrics.py [--steps 100] [--sizes 32,64,128,256] [--weights random]

A photograph of 12 million pixels is the content of all pictures. `fresh` looks at content and style for every picture,
`kept` as a worker does. The cell is one of `gatys` with its default network, layers and optimiser and random weights;
its seconds are those of a few steps times `--steps` (a third of the default of 300). `judge` is the neutral judge with
random weights, `vgg` the one through VGG-19; neither looks at content or style anew.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import load_file

import nst
from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.gatys import GatysConfig
from nst.judges import Judge, NeutralJudge, VggJudge
from nst.judges.neutral import STRUCTURE
from nst.judges.vgg import DIRECTIONS
from nst.methods import stylize_batch
from nst.pictures.images import Pixels, target_size
from nst.pictures.metrics import measure
from nst.workspace import Request, Workspace
from tasks.work.measuring import Measuring
from tasks.work.workplace import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

FEW_STEPS = 3
BACKBONES = Path(nst.__file__).parent / "backbones"


def pixels(seed: int, width: int, height: int) -> Pixels:
    return Pixels(f"image-{seed}", np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def milliseconds(call: Callable[[], object], times: int = 10) -> float:
    """Return the median of several calls after a first one."""
    call()
    spent = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        spent.append(time.perf_counter() - started)
    return 1e3 * sorted(spent)[times // 2]


def seconds_of_a_step(request: Request, workspace: Workspace) -> float:
    stylize_batch([request], workspace)
    started = time.perf_counter()
    (result,) = stylize_batch([request], workspace)
    assert result.error is None, result.error
    return (time.perf_counter() - started) / FEW_STEPS


def judges_of_random_weights() -> list[Judge]:
    """Return the neutral judge and the one through VGG-19, with random weights."""
    squeezenet = build_backbone(BackboneConfig(name="squeezenet", weights="random"), STRUCTURE, None)
    vgg19 = build_backbone(BackboneConfig(weights="random"), tuple(DIRECTIONS), None)
    reference = torch.rand(1, 3, 192, 256, generator=torch.Generator().manual_seed(0))
    return [Judge([NeutralJudge(squeezenet)]), Judge([VggJudge(vgg19, [reference])])]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="32,64,128,256")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--weights", default="random", choices=["random", "embedded", "draft"])
    settings = parser.parse_args()
    keep_freed_memory()
    content, style = pixels(0, 4000, 3000), pixels(1, 1200, 900)
    workspace = Workspace("cpu", lambda config: load_file(BACKBONES / f"{config.weights}.safetensors"))
    judges = judges_of_random_weights()
    print(
        f"{'px':>5} {'fresh ms':>9} {'kept ms':>9} {'ratio':>6} {'judge ms':>9} {'vgg ms':>8} {'cell s':>8} "
        f"{'fresh %':>8} {'kept %':>7} {'judge %':>8} {'vgg %':>7}"
    )
    for size in map(int, settings.sizes.split(",")):
        one_level = {"pyramid": {"levels": 1}, "trace_every": 0}
        config = GatysConfig(size=size, steps=FEW_STEPS, backbone={"weights": settings.weights}, **one_level)
        request = Request("cell", content, (style,), (1.0,), "targets", config)
        width, height = target_size(4000, 3000, size)
        image = pixels(2, width, height).array
        fresh = milliseconds(lambda image=image: measure(image, content.array, [style.array], [1.0]))
        measuring = Measuring()
        kept = milliseconds(lambda image=image, request=request, of=measuring: of.measure(image, request))
        cell = settings.steps * seconds_of_a_step(request, workspace)
        neutral, vgg = (
            milliseconds(lambda image=image, judge=judge: judge.measure(image, content, [style])) for judge in judges
        )
        shares = (f"{part / 1e3 / cell:8.2%}" for part in (fresh, kept, neutral, vgg))
        costs = f"{neutral:9.1f} {vgg:8.1f} {cell:8.2f}"
        print(f"{size:5d} {fresh:9.2f} {kept:9.2f} {fresh / kept:5.1f}x {costs} {' '.join(shares)}")


if __name__ == "__main__":
    main()
