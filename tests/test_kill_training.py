"""kill -9 of a training's whole process tree at random moments: at most an interval is lost, and no bit differs."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch
from trainings import write_manifest, write_pictures

from tasks.catalog.fsck import fsck
from tasks.store import open_store
from tasks.train_planning import prepare_training
from tasks.training import train

KILLS = int(os.environ.get("NST_KILLS", "3"))
"""Moments to kill at; the release check uses 10."""

STEPS = 48
EVERY = 3


def steps_kept(root):
    """Steps of the newest checkpoint; all when the model is there."""
    if list(root.glob("state/models/wal/*/*.json")):
        return STEPS
    return max((int(path.stem.split("-")[1]) for path in root.glob("state/trainings/*/checkpoint-*")), default=0)


def uninterrupted(manifest, root):
    """Train in this process, with as many threads as a worker takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    prepared = prepare_training(manifest, str(root))
    assert train(prepared.job(prepared.specs[0]), prepared.catalog, "cpu", lambda *_: None).failure is None
    torch.set_num_threads(before)
    for table in ("models", "traces"):
        prepared.catalog.publish(table)
    return only_model(root)


def only_model(root):
    models = pd.read_parquet(root / "catalog/models")
    assert len(models) == 1
    return models.iloc[0]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_weights(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    manifest = write_manifest(tmp_path, steps=STEPS, checkpoint_every=EVERY, validate_every=24)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}

    def command(root):
        return [sys.executable, "-m", "flows", "run", manifest, "--inline", "--devices", "cpu", "--root", str(root)]

    monkeypatch.setenv("XDG_CACHE_HOME", environment["XDG_CACHE_HOME"])
    expected = uninterrupted(manifest, tmp_path / "whole")
    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    root = tmp_path / "killed"
    kills = 0
    while kills < KILLS and steps_kept(root) < STEPS - EVERY:
        # A moment is a number of checkpoints and a little more: a slow machine is killed as deep in its work.
        before = steps_kept(root)
        target = min(before + EVERY * moments.choice([1, 2, 3] if KILLS < 5 else [0, 1, 2]), STEPS - EVERY)
        with subprocess.Popen(
            command(root), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            while steps_kept(root) < target and process.poll() is None:
                time.sleep(0.002)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0, 0.1 if target > before else 4))
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        assert steps_kept(root) >= before  # a checkpoint is never lost
    assert kills, "no moment came before the end"
    subprocess.run(command(root), env=environment, check=True, capture_output=True, timeout=300)
    row = only_model(root)
    assert row.weights_digest == expected.weights_digest
    assert row.model_id == expected.model_id
    assert row.resumed >= 1
    curves = [pd.read_parquet(folder / "catalog/traces") for folder in (root, tmp_path / "whole")]
    pd.testing.assert_frame_equal(*curves)
    assert not list(root.glob("state/trainings/*/checkpoint-*"))
    assert len(list(root.glob("models/*/*.safetensors"))) == 1
    assert fsck(open_store(str(root))).ok
