"""Whole commands, interpreter included: plan, run, and run again when everything is done; inline and under Prefect.

Run: python tests/benchmarks/bench_resume.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from nst.pictures.images import encode
from nst.records import OutputFormat

MANIFEST = """\
name: bench
contents: contents/*
styles: styles/*
method:
  name: gatys
  size: 32
  steps: 2
  content_layers: [relu1_1]
  style_layers: [relu1_1]
  backbone: {name: vgg16, weights: random}
sweep:
  style_weight: {from: 1, to: 1000, num: 8, scale: log}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(0)
        for name in ("contents/a", "contents/b", "styles/x", "styles/y", "styles/z"):
            path = Path(folder, f"{name}.png")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encode(rng.integers(0, 256, (48, 64, 3), np.uint8), OutputFormat(), {}))
        Path(folder, "sweep.yaml").write_text(MANIFEST)

        def nst(*arguments: str) -> float:
            started = time.perf_counter()
            command = [sys.executable, "-m", "flows", *arguments]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            return time.perf_counter() - started

        print("48 cells of 32 px and 2 steps: what is left is overhead")
        print(f"{'plan, nothing done':34}{nst('plan', 'sweep.yaml'):8.2f} s")
        print(f"{'run --inline':34}{nst('run', 'sweep.yaml', '--inline'):8.2f} s")
        print(f"{'run --inline, again':34}{nst('run', 'sweep.yaml', '--inline'):8.2f} s")
        print(f"{'plan, all done':34}{nst('plan', 'sweep.yaml'):8.2f} s")
        print(f"{'run (private Prefect server)':34}{nst('run', 'sweep.yaml', '--root', 'other'):8.2f} s")
        print(f"{'run, again':34}{nst('run', 'sweep.yaml', '--root', 'other'):8.2f} s")


if __name__ == "__main__":
    main()
