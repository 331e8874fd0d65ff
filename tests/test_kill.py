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

from nst.images import decode, encode
from nst.records import OutputFormat

KILLS = int(os.environ.get("NST_KILLS", "3"))
"""Random moments to kill at; the release check uses 20."""

MANIFEST = """\
name: survivor
contents: contents/*
styles: styles/*
method:
  name: gatys
  size: 40
  steps: 40
  init: noise
  content_layers: [relu1_2]
  style_layers: [relu1_1, relu2_1]
  backbone: {name: vgg16, weights: random}
sweep:
  style_weight: [1, 100]
  seed: {count: 2}
batch_size: 2
"""


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


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("contents/a", "contents/b", "styles/x", "styles/y", "styles/z"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        array = rng.integers(0, 256, (10, 12, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        path.write_bytes(encode(array, OutputFormat(), {}))
    (tmp_path / "sweep.yaml").write_text(MANIFEST)
    started = time.monotonic()
    subprocess.run(command(tmp_path / "whole"), cwd=tmp_path, check=True, capture_output=True, timeout=300)
    whole_s = time.monotonic() - started
    expected = digests(tmp_path / "whole")
    assert len(expected) == 24

    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    killed = 0
    for attempt in range(4 * KILLS):
        with subprocess.Popen(
            command(tmp_path / "killed"), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:  # fmt: skip
            # The first third is imports; a kill there tests nothing.
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(whole_s * moments.uniform(0.3, 1.0) if killed < KILLS else 300)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                killed += 1
            elif killed >= KILLS or attempt == 4 * KILLS - 1:
                assert process.returncode == 0
                break
        if killed and (tmp_path / "killed/catalog/results").exists():
            done = digests(tmp_path / "killed")  # what is visible is whole, and right
            assert done.items() <= expected.items()
    assert killed
    assert digests(tmp_path / "killed") == expected
    subprocess.run([sys.executable, "-m", "flows", "fsck", "--root", str(tmp_path / "killed")], check=True)
    assert not [path for path in (tmp_path / "killed").rglob("*") if path.is_file() and path.stat().st_size == 0]
