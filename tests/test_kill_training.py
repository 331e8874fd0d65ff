"""kill -9 of a training at random moments: at most an interval is lost, and no bit of the weights differs.

The trainings run in processes forked from one that has imported torch, so that ten kills take seconds.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time

import pandas as pd
import pytest
from trainings import train_alone, write_manifest, write_pictures

from tasks.fsck.check import fsck
from tasks.root import open_root

pytestmark = pytest.mark.proof

KILLS = int(os.environ.get("NST_KILLS", "2"))
"""Moments to kill at; the release check uses 10."""

EVERY = 3
STEPS = EVERY * (4 * KILLS + 2)


def steps_kept(root):
    """Steps of the newest checkpoint; all when the model is there."""
    if list(root.glob("state/models/wal/*/*.json")):
        return STEPS
    return max((int(path.stem.split("-")[1]) for path in root.glob("state/trainings/*/checkpoint-*")), default=0)


@pytest.fixture(scope="module")
def fork():
    """Start a training in a process of its own."""
    context = multiprocessing.get_context("forkserver")
    # Adam imports torch._dynamo when it is first made, which would take most of the time.
    context.set_forkserver_preload(["torch._dynamo", "tasks.work.training", "tasks.planning.training", "trainings"])

    def start(*arguments):
        process = context.Process(target=train_alone, args=arguments)
        process.start()
        return process

    return start


def only_model(root):
    models = pd.read_parquet(root / "catalog/models")
    assert len(models) == 1
    return models.iloc[0]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_weights(tmp_path, monkeypatch, fork):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_pictures(tmp_path)
    manifest = write_manifest(tmp_path, steps=STEPS, checkpoint_every=EVERY, validate_every=4 * EVERY)
    whole, root = tmp_path / "whole", tmp_path / "killed"
    process = fork(manifest, whole)
    process.join()
    assert process.exitcode == 0
    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    for _ in range(KILLS):
        # A moment is a number of checkpoints and a little more: a slow machine is killed as deep in its work.
        before = steps_kept(root)
        target = before + EVERY * moments.choice([0, 1, 2, 3])
        process = fork(manifest, root)
        while steps_kept(root) < target and process.is_alive():
            time.sleep(0.001)
        process.join(moments.uniform(0, 0.1 if target > before else 1))
        assert process.is_alive(), "the moment came after the end"
        process.kill()
        process.join()
        assert steps_kept(root) >= target  # a checkpoint is never lost
    process = fork(manifest, root)
    process.join()
    assert process.exitcode == 0
    row, expected = only_model(root), only_model(whole)
    assert row.weights_digest == expected.weights_digest
    assert row.model_id == expected.model_id
    assert row.resumed >= 1
    assert expected.resumed == 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(folder / "catalog/traces") for folder in (root, whole)))
    assert not list(root.glob("state/trainings/*/checkpoint-*"))
    assert len(list(root.glob("models/*/*.safetensors"))) == 1
    assert fsck(open_root(str(root))).ok
