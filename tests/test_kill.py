"""kill -9 of the whole process tree at random moments: nothing lost, nothing twice, nothing torn, the same bits."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from nst.pictures.images import decode, encode
from nst.records import OutputFormat

pytestmark = pytest.mark.proof

KILLS = int(os.environ.get("NST_KILLS", "2"))
"""Random moments to kill at; the release check uses 20."""

MANIFEST = """\
name: survivor
contents: contents/*
styles: styles/*
method:
  name: gatys
  size: 40
  steps: 15
  init: noise
  content_layers: [relu1_2]
  style_layers: [relu1_1, relu2_1]
  backbone: {name: vgg16, weights: random}
sweep:
  style_weight: [1, 100]
  seed: {count: 2}
batch_size: 2
"""

BATCHES = 12


def command(root: Path) -> list[str]:
    return [sys.executable, "-m", "flows", "run", "sweep.yaml", "--inline", "--root", str(root)]


def digests(root: Path) -> dict[str, str]:
    results = pd.read_parquet(root / "catalog/results")
    assert results.cell_id.is_unique
    found = {}
    for row in results.itertuples():
        data = Path(row.picture_uri.removeprefix("file://")).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.picture_digest
        decode(data)
        found[row.cell_id] = row.picture_digest
    return found


def batches_committed(root: Path) -> int:
    return len(list(root.glob("state/results/wal/*/*.json")))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("contents/a", "contents/b", "styles/x", "styles/y", "styles/z"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        array = rng.integers(0, 256, (10, 12, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        path.write_bytes(encode(array, OutputFormat(), {}))
    (tmp_path / "sweep.yaml").write_text(MANIFEST)
    subprocess.run(command(tmp_path / "whole"), cwd=tmp_path, check=True, capture_output=True, timeout=300)
    expected = digests(tmp_path / "whole")
    assert len(expected) == 24

    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    root = tmp_path / "killed"
    kills = 0
    while kills < KILLS and batches_committed(root) < BATCHES - 1:
        # A moment is a number of committed batches and a little more: a slow machine is killed as deep in its work as a
        # quick one. Half of the kills come before anything new is committed: in imports, planning, the first batch.
        target = batches_committed(root) + moments.choice([0, 0, 1, 2])
        with subprocess.Popen(
            command(root), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            while batches_committed(root) < target and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0.0, 6.0 if target == batches_committed(root) else 0.3))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        if (root / "catalog/results").exists():
            assert digests(root).items() <= expected.items()  # what is visible is whole, and right
    assert kills, "no moment came before the end"
    subprocess.run(command(root), cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert digests(root) == expected
    subprocess.run([sys.executable, "-m", "flows", "fsck", "--root", str(root)], check=True)
    assert not [path for path in root.rglob("*") if path.is_file() and path.stat().st_size == 0]
