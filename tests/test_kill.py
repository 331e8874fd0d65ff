"""kill -9 of the whole process tree, at named events and random moments: nothing lost, twice or torn, the same bits."""

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

KILLS = int(os.environ.get("NST_KILLS", "0"))
"""Random moments to kill at: `make proof` sets it, since no other test may depend on how fast the machine is."""

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of pictures and a sweep of 24 cells over them, which was run whole once."""
    folder = tmp_path_factory.mktemp("kill")
    rng = np.random.default_rng(0)
    for name in ("contents/a", "contents/b", "styles/x", "styles/y", "styles/z"):
        path = folder / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        array = rng.integers(0, 256, (10, 12, 3), np.uint8).repeat(6, 0).repeat(6, 1)
        path.write_bytes(encode(array, OutputFormat(), {}))
    (folder / "sweep.yaml").write_text(MANIFEST)
    subprocess.run(command(folder / "whole"), cwd=folder, check=True, capture_output=True, timeout=300)
    assert len(digests(folder / "whole")) == 24
    return folder


def check_visible(folder: Path, root: Path) -> None:
    """What is visible after a kill is whole, and right."""
    if list(root.glob("catalog/results/**/[!.]*.parquet")):
        assert digests(root).items() <= digests(folder / "whole").items()


def check_after_the_last_run(folder: Path, root: Path) -> None:
    """The next run does the rest: the same bits, nothing twice, nothing torn."""
    subprocess.run(command(root), cwd=folder, check=True, capture_output=True, timeout=300)
    assert digests(root) == digests(folder / "whole")
    subprocess.run([sys.executable, "-m", "flows", "fsck", "--root", str(root)], check=True)
    assert not [path for path in root.rglob("*") if path.is_file() and path.stat().st_size == 0]


@pytest.mark.timeout(600)
def test_killed_before_any_of_its_writes_and_run_again_it_gives_the_same_pictures(tmp_path, folder):
    """The events are writes: of the first file, of a picture, of a batch's commit record, of a published file."""
    root = tmp_path / "killed"
    events = [("", 1), ("/pictures/", 1), ("/wal/", 2), ("/pictures/", 2), ("/catalog/results/", 1)]
    for pattern, count in events:
        environment = os.environ | {"KILLED_AT": f"{pattern} {count}"}
        killed = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "killed_at.py"), *command(root)[3:]],
            cwd=folder, env=environment, capture_output=True, start_new_session=True, timeout=300, check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, (pattern, count, killed.stderr.decode())
        check_visible(folder, root)
    check_after_the_last_run(folder, root)


@pytest.mark.skipif(not KILLS, reason="kills at random moments: make proof")
@pytest.mark.timeout(1800)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_pictures(tmp_path, folder):
    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    kills, roots = 0, 1
    while kills < KILLS:
        root = tmp_path / f"killed-{roots}"
        # A moment is a number of committed batches and a little more: a slow machine is killed as deep in its work as a
        # quick one. Half of the kills come before anything new is committed: in imports, planning, the first batch.
        target = batches_committed(root) + moments.choice([0, 0, 1, 2])
        with subprocess.Popen(
            command(root), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            while batches_committed(root) < target and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0.0, 6.0 if target == batches_committed(root) else 0.3))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        check_visible(folder, root)
        if batches_committed(root) == BATCHES:  # the last kill came after all that could be lost, or not at all
            check_after_the_last_run(folder, root)
            roots += 1
    check_after_the_last_run(folder, root)
