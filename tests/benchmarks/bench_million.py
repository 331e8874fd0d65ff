"""Seconds and memory of `nst plan`, `status`, `fsck` and `repair` below a root with many rows.

Run: python tests/benchmarks/bench_million.py FOLDER [--rows 1000000] [--different] [--orphans 100000] [--json]

The root is made by the catalog's own writer, kept in FOLDER and made only once, which takes some minutes for a million
rows. All its cells have one picture, so that `fsck` finds nothing wrong; with `--different` each has a picture and a
thumbnail of its own, small files that are no pictures. What no row names is made anew by each call, two days old, and
removed by `repair --yes`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from nst.config.gatys import GatysConfig
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.catalog.parameters import flatten
from tasks.layout import picture_key, preview_key, thumbnail_key
from tasks.root import open_root

ROWS_PER_RECORD = 10_000
CELLS_PER_SWEEP = 50_000

MANIFEST = """\
name: unrelated
contents: content.png
styles: style.png
method: {name: gatys, size: 32, steps: 2, backbone: {weights: random}}
sweep: {style_weight: [1, 10]}
"""

MEASURED = """
import json, re, sys, time
from pathlib import Path
start = time.perf_counter()
sys.argv = ["nst", *sys.argv[1:]]
from flows.__main__ import main
try:
    main()
except SystemExit as end:
    code = end.code
peak = re.search("VmHWM: *\\t*([0-9 ]+) kB", Path("/proc/self/status").read_text())
print(json.dumps({"code": code or 0, "seconds": time.perf_counter() - start, "cpu": time.process_time(),
                  "mb": int(peak[1]) / 1024}), file=sys.stderr)
"""


def make_root(folder: Path, rows: int, *, different: bool) -> None:
    """Fill a root with sweeps whose cells are all done."""
    catalog = open_root(str(folder / "out")).catalog
    now = datetime(2026, 11, 21, tzinfo=UTC)
    about = {**flatten(GatysConfig()), "method_version": 1, "batch_id": "b" * 32, "attempt": 1, "started_at": now}
    about |= {"seconds": 1.5, "cost": 2e6, "batch_seconds": 12.0, "batch_size": 8, "picture_format": "png"}
    picture = encode(np.zeros((2, 2, 3), np.uint8), OutputFormat(), {})
    digest = hashlib.sha256(picture).hexdigest()
    catalog.store.put(picture_key(digest, "png"), picture)
    about |= {"picture_digest": digest, "picture_bytes": len(picture)}
    rng = np.random.default_rng(0)
    for start in range(0, rows, ROWS_PER_RECORD):
        group = f"{start // CELLS_PER_SWEEP:016x}"
        names = {"sweep_id": group, "sweep_name": f"sweep-{start // CELLS_PER_SWEEP}"}
        ids = [rng.bytes(16).hex() for _ in range(ROWS_PER_RECORD)]
        named = [{"content_name": f"c{n % 100}", "style_name": f"s{n % 37}"} for n in range(ROWS_PER_RECORD)]
        listed = [{"cell_id": cell, "position": start % CELLS_PER_SWEEP + n, **named[n]} for n, cell in enumerate(ids)]
        catalog.commit("sweeps", group, f"cells-{start:08d}", listed, common={**names, "submitted_at": now})
        done = [
            {"cell_id": cell, "address": cell[::-1], "style_loss": float(n), **named[n]} for n, cell in enumerate(ids)
        ]
        if different:
            for row in done:
                row |= {"picture_digest": write_picture(folder / "out", str(row["cell_id"])), "picture_bytes": 32}
        catalog.commit("results", group, f"batch-{start:08d}", done, common={**about, **names})
        for table in ("sweeps", "results"):
            catalog.publish(table)
    for table in ("sweeps", "results"):
        catalog.compact(table)
        catalog.gc(table, grace=0.0)


def write_picture(root: Path, name: str) -> str:
    """Write what stands for a picture and its thumbnail, without waiting for the disk; return the picture's digest."""
    data = name.encode()
    digest = hashlib.sha256(data).hexdigest()
    for key in (picture_key(digest, "png"), thumbnail_key(digest)):
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(data)
    return digest


def make_orphans(root: Path, number: int) -> None:
    """Write pictures, thumbnails and previews of batches that were killed two days ago."""
    then = time.time() - 2 * 86_400
    for count in range(number):
        name = f"{count:032x}"[::-1]
        digest = write_picture(root, name)
        preview = root / preview_key(name, 10)
        preview.parent.mkdir(parents=True, exist_ok=True)
        preview.write_bytes(b"preview")
        for path in (root / picture_key(digest, "png"), root / thumbnail_key(digest), preview):
            os.utime(path, (then, then))


def measure(folder: Path, *arguments: str) -> dict[str, float]:
    """Run a command of nst in a new interpreter; return its seconds and its largest memory in MB."""
    command = [sys.executable, "-c", MEASURED, *arguments, "--root", str(folder / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    try:
        found: dict[str, float] = json.loads(ran.stderr.splitlines()[-1])
    except (IndexError, ValueError):
        sys.exit(ran.stderr)
    return found


def main() -> None:
    """Print the figures, or JSON with `--json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--different", action="store_true")
    parser.add_argument("--orphans", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "out").exists():
        started = time.perf_counter()
        make_root(folder, given.rows, different=given.different)
        print(f"the root took {time.perf_counter() - started:.0f} s", file=sys.stderr)
    for name in ("content", "style"):
        pixels = np.random.default_rng(1).integers(0, 256, (40, 48, 3), np.uint8)
        (folder / f"{name}.png").write_bytes(encode(pixels, OutputFormat(), {}))
    (folder / "unrelated.yaml").write_text(MANIFEST)
    make_orphans(folder / "out", given.orphans)
    repair = "repair --read-data 0"
    commands = (
        "plan unrelated.yaml",
        "status",
        "status sweep-1",
        "fsck --read-data 0",
        repair,
        f"{repair} --yes",
        repair,
    )
    found = {f"{name} ({count})": measure(folder, *name.split()) for count, name in enumerate(commands, 1)}
    if given.json:
        print(json.dumps(found, indent=2))
        return
    for name, row in found.items():
        figures = f"{row['seconds']:8.1f} s{row['cpu']:8.1f} s CPU{row['mb']:8.0f} MB"
        print(f"nst {name:30}{figures}  exit code {row['code']:.0f}")


if __name__ == "__main__":
    main()
