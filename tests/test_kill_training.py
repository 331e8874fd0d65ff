"""kill -9 of a training, at named events and random moments: at most an interval is lost, the weights are the same.

The trainings run in processes forked from one that has imported torch, so that ten kills take seconds.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pandas as pd
import pytest
import warm
from killed_at import kill_before
from trainings import train_alone, write_manifest, write_pictures

from tasks.fsck.check import fsck
from tasks.root import open_root

KILLS = int(os.environ.get("NST_KILLS", "0"))
"""Random moments to kill at: `make proof` sets it, since no other test may depend on how fast the machine is."""

EVERY = 3
STEPS = EVERY * 10


def steps_kept(root):
    """Steps of the newest checkpoint; all when the model is there."""
    if list(root.glob("state/models/wal/*/*.json")):
        return STEPS
    return max((int(path.stem.split("-")[1]) for path in root.glob("state/trainings/*/checkpoint-*")), default=0)


def train_until(folder, root, pattern="", count=0):
    """Train, and be killed at the event if `count` is not 0."""
    os.environ["XDG_CACHE_HOME"] = str(root.parent / "cache")
    if count:
        kill_before(pattern, count, group=False)
    train_alone(str(folder / "tiny.yaml"), root)


@pytest.fixture(scope="module")
def fork():
    """Start a training in another process, which is killed before its nth write of a file whose path has a pattern."""

    def start(*arguments):
        process = warm.CONTEXT.Process(target=train_until, args=arguments)
        process.start()
        return process

    return start


def only_model(root):
    models = pd.read_parquet(root / "catalog/models")
    assert len(models) == 1
    return models.iloc[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fork):
    """A folder of pictures and a training over them, which was run whole once."""
    folder = tmp_path_factory.mktemp("kill_training")
    write_pictures(folder)
    write_manifest(folder, steps=STEPS, checkpoint_every=EVERY, validate_every=4 * EVERY)
    process = fork(folder, folder / "whole")
    process.join()
    assert process.exitcode == 0
    return folder


@pytest.mark.timeout(600)
def test_killed_before_any_of_its_writes_and_run_again_it_gives_the_same_weights(tmp_path, folder, fork):
    root = tmp_path / "killed"
    for pattern, count in [
        ("", 1),
        ("/checkpoint-", 2),
        ("/checkpoint-", 1),
        ("/models/.*safetensors", 1),
        ("/wal/", 1),
    ]:
        before = steps_kept(root)
        process = fork(folder, root, pattern, count)
        process.join()
        assert process.exitcode == -signal.SIGKILL, (pattern, count)
        assert steps_kept(root) >= before + EVERY * (count - 1) * (pattern == "/checkpoint-")  # no checkpoint is lost
    check_after_the_last_run(folder, root, fork)


@pytest.mark.proof
@pytest.mark.skipif(not KILLS, reason="kills at random moments: make proof")
@pytest.mark.timeout(600)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_weights(tmp_path, folder, fork):
    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    kills, roots = 0, 1
    while kills < KILLS:
        root = tmp_path / f"killed-{roots}"
        # A moment is a number of checkpoints and a little more: a slow machine is killed as deep in its work.
        before = steps_kept(root)
        target = before + EVERY * moments.choice([0, 1, 2, 3])
        process = fork(folder, root)
        while steps_kept(root) < target and process.is_alive():
            time.sleep(0.001)
        process.join(moments.uniform(0, 0.1 if target > before else 1))
        kills += process.is_alive()
        process.kill()
        process.join()
        assert steps_kept(root) >= min(target, STEPS)  # a checkpoint is never lost
        if steps_kept(root) == STEPS:
            check_after_the_last_run(folder, root, fork)
            roots += 1
    check_after_the_last_run(folder, root, fork)


def check_after_the_last_run(folder, root, fork):
    """The next run does the rest: the same weights, and one model."""
    process = fork(folder, root)
    process.join()
    assert process.exitcode == 0
    row, expected = only_model(root), only_model(folder / "whole")
    assert row.weights_digest == expected.weights_digest
    assert row.model_id == expected.model_id
    assert row.resumed >= 1
    assert expected.resumed == 0
    pd.testing.assert_frame_equal(*(pd.read_parquet(place / "catalog/traces") for place in (root, folder / "whole")))
    assert not list(root.glob("state/trainings/*/checkpoint-*"))
    assert len(list(root.glob("models/*/*.safetensors"))) == 1
    assert fsck(open_root(str(root))).ok
