"""Seconds per picture by a trained network: one picture per process (how scripts do it), warm, and in batches.

All in one run on one machine, so that the ratios hold. Each network has its default size and random weights; a fresh
process reads them from a file. On a GPU: `--device cuda --size 512 --batches 1,4,16,64 --precisions float32,bfloat16`.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from nst.backbones import build_backbone
from nst.config.backbone import BackboneConfig
from nst.config.feedforward import FeedforwardConfig
from nst.config.training import TRAINING_CONFIGS
from nst.methods import stylize_batch
from nst.networks import Origin, build_network, metadata_of
from nst.pictures.images import Pixels
from nst.workspace import NetworkFile, Request, Workspace
from tasks.work.workplace import keep_freed_memory


def pixels(seed: int, size: int) -> Pixels:
    array = np.random.default_rng(seed).integers(0, 256, (size * 3 // 4, size, 3), np.uint8)
    return Pixels(f"image-{seed}", array)


def write_model(family: str, path: Path) -> None:
    """Write the file of a network that was never trained."""
    config = TRAINING_CONFIGS[family]()
    encoder = None
    if config.family in {"adain", "mgan"}:
        encoder = build_backbone(BackboneConfig(weights="random", padding="reflect"), [config.layer], None)
    network = build_network(config, Origin(encoder=encoder))
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    save_file(
        tensors,
        path,
        metadata_of(config, [pixels(0, 512).digest], 0),
    )


def read_model(path: Path) -> NetworkFile:
    def load() -> tuple[dict[str, str], dict[str, torch.Tensor]]:
        with safe_open(path, "pt") as file:
            return file.metadata(), load_file(path)

    return NetworkFile(path.name, load)


def seconds_per_picture(
    workspace: Workspace, model: NetworkFile, batch: int, settings: argparse.Namespace, precision: str
) -> float:
    config = FeedforwardConfig(family=settings.family, model="x", size=settings.size, precision=precision)
    style = (pixels(0, settings.size),) if settings.family in {"adain", "conditional"} else ()
    requests = [
        Request(f"cell-{n}", pixels(1 + n, settings.size), style, (1.0,) * len(style), "targets", config, model=model)
        for n in range(batch)
    ]
    started = time.perf_counter()
    outcomes = stylize_batch(requests, workspace)  # returns pictures on the host, so nothing is left to wait for
    seconds = time.perf_counter() - started
    assert all(outcome.image is not None for outcome in outcomes)
    return seconds / batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--families", default="johnson,adain")
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--batches", default="1,4,8")
    parser.add_argument("--precisions", default="float32")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--family", help=argparse.SUPPRESS)
    parser.add_argument("--fresh", type=Path, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if settings.fresh:
        seconds_per_picture(Workspace(settings.device, dict), read_model(settings.fresh), 1, settings, "float32")
        return

    name = torch.cuda.get_device_name() if settings.device == "cuda" else f"{torch.get_num_threads()} CPU threads"
    print(f"{settings.size} px wide, 4:3, {name}, torch {torch.__version__}")
    print(f"{'':38}{'s a picture':>12}{'a second':>10}{'against fresh':>15}")
    with tempfile.TemporaryDirectory() as folder:
        for family in settings.families.split(","):
            settings.family = family
            path = Path(folder) / f"{family}.safetensors"
            write_model(family, path)
            command = [sys.executable, __file__, "--fresh", str(path), "--family", family]
            command += ["--device", settings.device, "--size", str(settings.size)]
            fresh = []
            for _ in range(settings.repeat):
                started = time.perf_counter()
                subprocess.run(command, check=True)
                fresh.append(time.perf_counter() - started)
            alone = statistics.median(fresh)
            print(f"{family + ', fresh process':38}{alone:12.3f}{1 / alone:10.2f}{1:14.2f}x", flush=True)
            batches = [int(batch) for batch in settings.batches.split(",")]
            for precision, batch in itertools.product(settings.precisions.split(","), batches):
                keep_freed_memory()  # as workers do
                workspace, model = Workspace(settings.device, dict), read_model(path)
                times = [
                    seconds_per_picture(workspace, model, batch, settings, precision)
                    for _ in range(settings.repeat + 1)
                ]
                seconds = statistics.median(times[1:])  # the first one builds the network
                label = f"{family}, warm, {precision}, batch {batch}"
                print(f"{label:38}{seconds:12.3f}{1 / seconds:10.2f}{alone / seconds:14.2f}x", flush=True)


if __name__ == "__main__":
    main()
