"""What previews cost: the processor time of one, against that of the steps between two of them.

    python tests/benchmarks/bench_previews.py

Both are measured in this process, in processor seconds of its threads, so that other work on the machine counts little.
The share is that of a preview in the steps from one to the next at the least interval that nst chooses by itself;
longer optimisations have longer ones. Writing into a bucket waits in a thread of its own and takes no processor.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config import GatysConfig
from nst.config.previews import LEAST_STEPS
from nst.methods import stylize_batch
from nst.methods.previews import Previews
from nst.pictures.images import Pixels
from nst.workspace import Request, Workspace
from tasks.inputs.uris import read_uri
from tasks.inputs.weights import packaged_uri
from tasks.models.backbone_weights import load_weights
from tasks.root import open_root
from tasks.work.previews import StoredPreviews

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from nst.config.backbone import BackboneConfig

SIZES = (128, 320, 640)
NETWORKS = ("draft", "embedded")
"""The smallest network and the distilled VGG-19: a step through any other takes longer."""

STEPS = 8
EVERY = 2


def weights_of(config: BackboneConfig) -> Mapping[str, Tensor]:
    """Return the weights of a network that comes with nst."""
    uri = packaged_uri(config)
    return load_weights(config, uri, f"sha256-{hashlib.sha256(read_uri(uri)).hexdigest()}")


def timed(call: Callable[..., object], spent: list[float]) -> Callable[..., object]:
    """Return a function that does the same and notes the processor seconds of its thread."""

    def measured(*arguments: object) -> object:
        began = time.thread_time()
        try:
            return call(*arguments)
        finally:
            spent.append(time.thread_time() - began)

    return measured


def seconds_of(size: int, weights: str, folder: str) -> tuple[float, float, float]:
    """Return the processor seconds of a step, of making a preview within a step, and of storing it beside."""
    rng = np.random.default_rng(0)
    content, style = (
        Pixels(name, rng.integers(0, 256, (size * 3 // 4, size, 3), dtype=np.uint8)) for name in ("content", "style")
    )
    config = GatysConfig(size=size, steps=STEPS, pyramid={"levels": 1}, backbone={"weights": weights})
    request = Request("00bench", content, (style,), (1.0,), "targets", config)
    workspace = Workspace("cpu", weights_of)
    stored = StoredPreviews(open_root(folder).store, EVERY)
    shows: list[float] = []
    keeps: list[float] = []
    stored._keep = timed(stored._keep, keeps)
    show = Previews.show
    stylize_batch([request], workspace)  # its targets are kept
    began = time.process_time()
    stylize_batch([request], workspace)
    step = (time.process_time() - began) / STEPS
    Previews.show = timed(show, shows)
    stylize_batch([request], workspace.watched_by(stored.onlooker))
    Previews.show = show
    stored.ended()
    return step, sum(shows) / len(shows), sum(keeps) / len(keeps)


def main() -> None:
    """Print a table."""
    torch.set_num_threads(1)
    print("pixels  network    ms of a step  ms of a preview: in line, in its thread  share")
    with tempfile.TemporaryDirectory() as folder:
        for weights in NETWORKS:
            for size in SIZES:
                step, line, thread = seconds_of(size, weights, folder)
                share = (line + thread) / (LEAST_STEPS * step)
                figures = f"{1000 * step:12.1f}  {1000 * line:24.2f}  {1000 * thread:13.2f}"
                print(f"{size:6}  {weights:9}  {figures}  {share:.2%}")


if __name__ == "__main__":
    main()
