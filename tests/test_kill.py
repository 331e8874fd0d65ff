"""kill -9 of the whole process tree, at named events and random moments: nothing lost, twice or torn, the same bits.

At events, the command and its worker are forked from a process that has imported torch, so that five kills take
seconds; at random moments, they are started as users start them.
"""

from __future__ import annotations

import contextlib
import hashlib
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import warm
from killed_at import kill_before

from nst.pictures.images import decode, encode
from nst.records import OutputFormat
from tasks.fsck.check import fsck
from tasks.root import open_root
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("NST_KILLS", "0"))
"""Random moments to kill at: `make proof` sets it, since no other test may depend on how fast the machine is."""

MANIFEST = f"""\
name: survivor
contents: contents/*
styles: styles/*
method:
  name: gatys
  size: 40
  steps: {15 if KILLS else 3}
  init: noise
  content_layers: [relu1_2]
  style_layers: [relu1_1, relu2_1]
  backbone: {{name: vgg16, weights: random}}
sweep:
  style_weight: [1, 100]
  seed: {{count: 2}}
batch_size: 2
"""

BATCHES = 12


def command(root: str) -> list[str]:
    return [sys.executable, "-m", "flows", "run", "sweep.yaml", "--inline", "--root", root]


def run(folder: Path, root: str, pattern: str = "", count: int = 0) -> int | None:
    """Run the sweep in a process group of its own, be killed at the event if `count` is not 0; return the exit code."""
    process = warm.CONTEXT.Process(target=run_until, args=(str(folder), root, pattern, count))
    process.start()
    process.join(300)
    return process.exitcode


def run_until(folder: str, root: str, pattern: str, count: int) -> None:
    """Be the command. Its worker is its own child, held to the same event, and a member of its group."""
    from flows.__main__ import main

    os.setsid()
    os.chdir(folder)
    if count:
        kill_before(pattern, count)
    sys.argv = command(root)[2:]
    with pytest.MonkeyPatch.context() as patch:
        forking = SimpleNamespace(get_context=lambda _: multiprocessing.get_context("fork"))
        patch.setattr("tasks.work.worker.multiprocessing", forking)
        main()


def digests(root: str) -> dict[str, str]:
    """Digests of the pictures of all cells with a row, which are read and decoded."""
    results = pd.read_parquet(f"{root}/catalog/results")
    assert results.cell_id.is_unique
    store = open_store(root)
    found = {}
    for row in results.itertuples():
        data = store.get(row.picture_uri.removeprefix(store.uri).lstrip("/"))
        assert hashlib.sha256(data).hexdigest() == row.picture_digest
        decode(data)
        found[row.cell_id] = row.picture_digest
    return found


def batches_committed(root: str) -> int:
    return sum(stat.key.endswith(".json") for stat in open_store(root).list("state/results/wal/"))


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
    assert run(folder, str(folder / "whole")) == 0
    assert len(digests(str(folder / "whole"))) == 24
    return folder


def check_visible(folder: Path, root: str) -> None:
    """What is visible after a kill is whole, and right."""
    if any(stat.key.endswith(".parquet") for stat in open_store(root).list("catalog/results/")):
        assert digests(root).items() <= digests(str(folder / "whole")).items()


def check_after_the_last_run(folder: Path, root: str) -> None:
    """The next run does the rest: the same bits, nothing twice, nothing torn, and no cell failed for a kill."""
    assert run(folder, root) == 0
    assert digests(root) == digests(str(folder / "whole"))
    assert pd.read_parquet(f"{root}/catalog/failures").empty
    assert fsck(open_root(root)).ok
    assert not [stat.key for stat in open_store(root).list("") if stat.size == 0]


@pytest.mark.timeout(600)
def test_killed_before_any_of_its_writes_and_run_again_it_gives_the_same_pictures(tmp_path, folder):
    """The events are writes: of the first file, of a picture, of a batch's commit record, of a published file."""
    root = str(tmp_path / "killed")
    events = [("", 1), ("/pictures/", 1), ("/wal/", 2), ("/pictures/", 2), ("/catalog/results/", 1)]
    for pattern, count in events:
        assert run(folder, root, pattern, count) == -signal.SIGKILL, (pattern, count)
        check_visible(folder, root)
    check_after_the_last_run(folder, root)


@pytest.mark.proof
@pytest.mark.skipif(not KILLS, reason="kills at random moments: make proof")
@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.timeout(3600)
def test_killed_at_random_moments_and_run_again_it_gives_the_same_pictures(tmp_path, folder, where, request):
    def new_root() -> str:
        return str(tmp_path / f"killed-{kills}") if where == "disk" else request.getfixturevalue("s3").root()

    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    kills = 0
    root = new_root()
    while kills < KILLS:
        # A moment is a number of committed batches and a little more: a slow machine is killed as deep in its work as a
        # quick one. Half of the kills come before anything new is committed: in imports, planning, the first batch.
        before = batches_committed(root)
        target = before + moments.choice([0, 0, 1, 2])
        with subprocess.Popen(
            command(root), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            while batches_committed(root) < target and process.poll() is None:
                time.sleep(0.005)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moments.uniform(0.0, 6.0 if target == before else 0.3))
            if process.poll() is None:
                if moments.random() < 0.5:  # the workers are orphans, which the next run may meet
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
                kills += 1
        check_visible(folder, root)
        if batches_committed(root) == BATCHES:  # the last kill came after all that could be lost, or not at all
            check_after_the_last_run(folder, root)
            root = new_root()
    check_after_the_last_run(folder, root)


@pytest.mark.skipif(not KILLS, reason="kills at random moments: make proof")
@pytest.mark.parametrize("where", ["disk", "s3"])
@pytest.mark.timeout(3600)
def test_of_several_participants_any_is_killed_at_random_moments_and_the_pictures_are_the_same(
    tmp_path, folder, where, request
):
    """One submits the sweep, two help; whoever is killed is replaced by another helper. Nobody repairs anything."""

    def new_root() -> str:
        return str(tmp_path / f"shared-{kills}") if where == "disk" else request.getfixturevalue("s3").root("r")

    def begun(*arguments: str) -> warm.Command:
        options = ("--devices", "cpu", "--root", root)
        return warm.start(*arguments, *options, cwd=folder, OMP_NUM_THREADS="1")

    moments = random.Random(int(os.environ.get("NST_SEED", "0")))
    kills = 0
    while kills < KILLS:
        root = new_root()
        taking_part = [begun("run", "sweep.yaml", "--inline")]
        while not open_store(root).list("state/plans/"):
            time.sleep(0.02)
            assert taking_part[0].poll() is None
        while batches_committed(root) < BATCHES:
            taking_part += [begun("work", "--inputs", str(folder)) for _ in range(3 - len(taking_part))]
            target = batches_committed(root) + moments.choice([0, 0, 1, 2])
            while batches_committed(root) < target and all(each.poll() is None for each in taking_part):
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 0.5))
            victim = taking_part.pop(moments.randrange(len(taking_part)))
            if victim.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # it is not the leader of its group yet
                    os.killpg(victim.pid, signal.SIGKILL)
                    kills += 1
            victim.ended()
            check_visible(folder, root)
        for each in taking_part:
            ended = each.ended()
            assert ended.returncode == 0, ended
        check_after_the_last_run(folder, root)
