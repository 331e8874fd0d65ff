"""Seconds per batch when the next batch waits until a batch is written, and when it is computed meanwhile.

    python tests/benchmarks/bench_writes.py [--size 32] [--steps 2] [--batches 24] [--root DIR or s3://BUCKET]

One worker on the CPU, batches of 8 cells of `gatys` with shallow layers and random weights, turn about in one run. What
is compared is the time of a whole chunk of batches; the root lies below `--root`, and what a durable write takes there
decides what is gained.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from flows.order.request import Request, order_of
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.root import open_root
from tasks.work.workers import DevicePool

if TYPE_CHECKING:
    from tasks.jobs import Job

CELLS = 8
ROUNDS = 4


def jobs_of(folder: Path, settings: argparse.Namespace, turn: int) -> tuple[DevicePool, list[Job]]:
    rng = np.random.default_rng(0)
    for name in ("c", "s"):
        (folder / f"{name}.png").write_bytes(encode(rng.integers(0, 256, (96, 128, 3), np.uint8), OutputFormat(), {}))
    count = settings.batches * CELLS
    manifest = folder / f"m{turn}.yaml"
    manifest.write_text(
        f"name: writes\ncontents: c.png\nstyles: s.png\nbatch_size: {CELLS}\n"
        f"method: {{name: gatys, size: {settings.size}, steps: {settings.steps}, content_layers: relu2_1, "
        "style_layers: [relu1_1, relu2_1], backbone: {weights: random}}\n"
        f"sweep: {{style_weight: {{from: 1, to: 100, num: {count}}}}}\n"
    )
    root = open_root(f"{settings.root or folder}/out{turn}", probed=True)
    prepared = order_of(Request(str(manifest), root)).prepared
    pool = DevicePool(root, ["cpu"])
    return pool, [prepared.job(batch) for batch in prepared.plan.batches()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--root", default=None)
    settings = parser.parse_args()
    spent: dict[str, list[float]] = {"one by one": [], "overlapped": []}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(2 * ROUNDS):
            pool, jobs = jobs_of(Path(folder), settings, turn)
            how = list(spent)[turn % 2]
            with pool:
                pool.run(jobs[0])  # imports and weights
                started = time.perf_counter()
                if how == "overlapped":
                    assert not any(isinstance(result, Exception) for _, result in pool.run_in_turn(jobs[1:]))
                else:
                    for job in jobs[1:]:
                        pool.run(job)
                spent[how].append((time.perf_counter() - started) / len(jobs[1:]))
    best = {how: min(seconds) for how, seconds in spent.items()}
    for how, seconds in best.items():
        print(f"{settings.size} px, {settings.steps} steps, {how:<11}{1e3 * seconds:8.1f} ms a batch of {CELLS}")
    print(f"overlapped takes {best['overlapped'] / best['one by one']:.2f} of the time")


if __name__ == "__main__":
    main()
