"""Images per second of training, and the share of the measured matrix-multiplication ceiling that a step reaches.

Random photographs and weights: what is learned does not matter here. On a GPU: `--device cuda --size 256 --batch 4
--precisions float32,bfloat16 --compile`, where 40,000 steps take 40,000 x 4 / (images a second).
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from bench_cells import matmul_ceiling, pixels
from torch.utils.flop_counter import FlopCounterMode

from nst.config.training import TRAINING_CONFIGS
from nst.training import Trainer
from nst.workspace import Workspace
from tasks.work.workplace import keep_freed_memory


def trainer(family: str, settings: argparse.Namespace, precision: str) -> Trainer:
    config = TRAINING_CONFIGS[family](
        size=settings.size, batch_size=settings.batch, precision=precision, compile=settings.compile,
        backbone={"name": "vgg19" if family == "adain" else "vgg16", "weights": "random"},
    )  # fmt: skip
    photographs = np.random.default_rng(0).integers(0, 256, (64, settings.size, settings.size, 3), np.uint8)
    return Trainer(config, [pixels(1, settings.size)], Workspace(settings.device, dict), photographs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--families", default="johnson,conditional,texture_net,adain")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precisions", default="float32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--steps", type=int, default=8)
    settings = parser.parse_args()
    keep_freed_memory()  # as workers do
    name = torch.cuda.get_device_name() if settings.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{settings.size} px, batches of {settings.batch}, {name}, torch {torch.__version__}")
    print(f"{'':26}{'s a step':>12}{'images a s':>12}{'GFLOP each':>12}{'of ceiling':>12}")
    for precision in settings.precisions.split(","):
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        ceiling = matmul_ceiling(settings.device, dtype)
        for family in settings.families.split(","):
            learner = trainer(family, settings, precision)
            with FlopCounterMode(display=False) as counter:
                learner.step()
            operations = counter.get_total_flops() / settings.batch
            learner.step()
            times = []
            for _ in range(settings.steps):
                started = time.perf_counter()
                learner.step()  # reads its losses, so nothing is left to wait for
                times.append(time.perf_counter() - started)
            seconds = statistics.median(times)
            rate = settings.batch / seconds
            share = operations * rate / ceiling
            label = f"{family}, {precision}"
            print(f"{label:26}{seconds:12.3f}{rate:12.2f}{operations / 1e9:12.2f}{share:12.0%}", flush=True)


if __name__ == "__main__":
    main()
