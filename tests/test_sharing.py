"""Several real runs of one sweep on one root at the same time: they divide it, and replace one that is killed."""

from __future__ import annotations

import json
import os
import signal
import time

import pyarrow.dataset as ds
import pytest
import warm
from orders import planned
from sweeps import TINY_METHOD, write_pictures

from flows.engine import InlineEngine
from flows.order.sweep import SweepOrder
from tasks.fsck.check import fsck
from tasks.heartbeat import beating, running_sweeps
from tasks.root import open_root
from tasks.store import open_store
from tasks.work.sharing import has_claims
from tasks.work.workers import DevicePool

CELLS = 60


def manifest(steps=20, cells=CELLS, **keys):
    method = {**TINY_METHOD, "steps": steps, "init": "noise", "pyramid": {"levels": 1}}
    sweep = {"seed": {"count": cells}}
    return json.dumps({
        "name": "shared", "contents": "cat.png", "styles": "waves.png", "method": method, "sweep": sweep,
        "batch_size": 1, "preview_every": 0, **keys,
    })  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(manifest())
    (tmp_path / "long.yaml").write_text(manifest(100))
    return tmp_path


def start(folder, file="m.yaml", root="out", **environment):
    environment = {"OMP_NUM_THREADS": "1", **environment}
    return warm.start("run", file, "--inline", "--root", root, "--devices", "cpu", cwd=folder, **environment)


def records(root):
    """Return the commit records of results: one for each batch that was computed, however often."""
    return [stat.key for stat in open_store(root).list("state/results/wal/") if stat.key.endswith(".json")]


def wait_for(batches, root, *commands):
    deadline = time.monotonic() + warm.DEADLINE_S
    while len(records(root)) < batches:
        assert time.monotonic() < deadline
        assert all(command.poll() is None for command in commands), [command.said for command in commands]
        time.sleep(0.05)


def claims(root):
    return [stat.key for stat in open_store(root).list("state/claims/")]


def check_whole(root):
    """Every cell is in the catalog once, and nobody holds anything."""
    opened = open_root(root)
    assert len(opened.catalog.read("results", ["cell_id"])) == CELLS
    assert fsck(opened).ok
    assert running_sweeps(opened.store) == set()
    assert claims(root) == []


def test_three_equal_runs_compute_a_sweep_once(folder):
    root = str(folder / "out")
    ended = [command.ended() for command in [start(folder) for _ in range(3)]]
    assert [each.returncode for each in ended] == [0, 0, 0], ended
    check_whole(root)
    assert len(records(root)) <= 1.05 * CELLS
    assert sum(f" {CELLS} done" not in each.stdout for each in ended) == 3, "nobody did all of it"


def test_a_run_that_is_killed_is_replaced_at_once_by_one_on_its_machine(folder):
    """The heartbeat of the killed one stays, and says which process is gone: nobody waits for it to be old."""
    root = str(folder / "out")
    victim, survivor = start(folder), start(folder)
    wait_for(10, root, victim, survivor)
    before = time.monotonic()
    os.killpg(victim.pid, signal.SIGKILL)
    victim.ended()
    ended = survivor.ended()
    assert ended.returncode == 0, ended
    assert "by other runs" in ended.stdout
    check_whole(root)
    assert len(records(root)) <= CELLS + 3, f"in {time.monotonic() - before:.0f} s"
