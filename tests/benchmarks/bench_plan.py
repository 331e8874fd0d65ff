"""Planning times and memory: parse + expand + identify + subtract + group + estimate, each in a fresh interpreter.

Run: python tests/benchmarks/bench_plan.py [--json]
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

ONE = """
import json, resource, sys, time
start = time.perf_counter()
from nst.manifest.sweep import parse_manifest
from nst.planning.batches import make_plan
from nst.planning.cells import expand
from nst.records import ImageRef, StyleRef
imported = time.perf_counter()
contents, styles, seeds, weights = json.loads(sys.argv[1])
text = f'''
name: bench
contents: c/*
styles: s/*
method: {{name: gatys, size: 256, noise: 0.1}}
budget: {{cells: 2000000}}
sweep:
  seed: {{count: {seeds}}}
  style_weight: {{from: 1, to: 1000, num: {weights}, scale: log}}
'''
manifest = parse_manifest(text, "bench.yaml")
parsed = time.perf_counter()
images = [ImageRef(f"{n}", f"{n}.jpg", f"{n:064x}") for n in range(contents + styles)]
refs = [StyleRef(image.name, (image,), (1.0,)) for image in images[contents:]]
cells = expand(manifest, images[:contents], refs, dict.fromkeys(manifest.backbones(), "w"))
expanded = time.perf_counter()
known, rates = {"an address": 1}, {("gatys", "vgg19", "float32"): 1e-8}
plan = make_plan("bench", cells, set(cells.ids[::3]), failed={cells.ids[1]: 1}, known=known, history=rates)
done = time.perf_counter()
print(json.dumps({
    "cells": plan.total, "to_do": plan.to_do, "batches": plan.batch_count, "import_s": imported - start,
    "parse_s": parsed - imported, "expand_s": expanded - parsed, "plan_s": done - expanded,
    "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""

SHAPES = {
    "10 x 10 x 100": (10, 10, 20, 5),
    "100 x 100 x 100": (100, 100, 20, 5),
    "10 x 10 x 10,000": (10, 10, 100, 100),
}
HEAD = ("cells", "import s", "parse s", "expand s", "plan s", "total s", "MB")


def measure(shape: tuple[int, int, int, int]) -> dict[str, float]:
    """Plan one shape in a new interpreter; `total_s` includes its start."""
    start = time.perf_counter()
    command = [sys.executable, "-c", ONE, json.dumps(shape)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {**found, "total_s": time.perf_counter() - start}


def main() -> None:
    """Print the best of three of every shape."""
    rows = {name: min((measure(shape) for _ in range(3)), key=lambda r: r["total_s"]) for name, shape in SHAPES.items()}
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'contents x styles x points':28}" + "".join(f"{head:>10}" for head in HEAD))
    for name, row in rows.items():
        seconds = "".join(f"{row[f'{part}_s']:>10.2f}" for part in ("import", "parse", "expand", "plan", "total"))
        print(f"{name:28}{row['cells']:>10,}{seconds}{row['rss_mb']:>10.0f}")


if __name__ == "__main__":
    main()
