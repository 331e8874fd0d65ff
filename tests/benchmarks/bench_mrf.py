"""Matching neural patches at 384 px with nine copies of the style: streamed, and with the full response at once.

Run: python tests/benchmarks/bench_mrf.py [--json]
"""

from __future__ import annotations

import json
import subprocess
import sys

ONE = """
import json, resource, sys, time
import torch
torch.set_num_threads(1)
from nst.losses.patches import CHUNK, cut_patches, nearest_patches
way, channels, rows, columns = sys.argv[1], *map(int, sys.argv[2:])
generator = torch.Generator().manual_seed(0)
maps = [torch.rand((1, channels, rows, columns), generator=generator) for _ in range(9)]
patches = cut_patches(torch.rand((1, channels, rows, columns), generator=generator), 3, 2)[0]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
if way == "streamed":
    index = nearest_patches(patches, maps, 3, 2)[1]
else:
    style = torch.cat([cut_patches(one, 3, 2)[0] for one in maps], 1)
    response = (style / style.norm(dim=0)).T @ patches
    index = response.argmax(0)
    matches = style[:, index]
seconds = time.perf_counter() - start
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"patches": patches.shape[1], "seconds": seconds, "mb": (after - before) / 1024,
                  "sum": int(index.sum())}))
"""

LAYERS = {"relu3_1": (256, 96, 96), "relu4_1": (512, 48, 48)}


def measure(way: str, shape: tuple[int, int, int]) -> dict[str, float]:
    """Match one layer in a new interpreter."""
    command = [sys.executable, "-c", ONE, way, *map(str, shape)]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def main() -> None:
    """Print both ways for both layers; their matches must be equal."""
    rows = {f"{layer} {way}": measure(way, shape) for layer, shape in LAYERS.items() for way in ("streamed", "whole")}
    for layer in LAYERS:
        assert rows[f"{layer} streamed"]["sum"] == rows[f"{layer} whole"]["sum"], layer
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    for name, row in rows.items():
        print(f"{name:18} {row['patches']:5.0f} patches {row['seconds']:7.2f} s {row['mb']:7.0f} MB")


if __name__ == "__main__":
    main()
