"""Real processes, real files, real `kill -9`: what was acknowledged is there, once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from tasks.catalog import Catalog
from tasks.fsck.check import fsck
from tasks.root import open_root
from tasks.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

BATCHES, CELLS = 40, 3

ACTOR = """
import hashlib, sys, time
from tasks.catalog import Catalog
from tasks.store import open_store

root, role, acknowledged = sys.argv[1:4]
store = open_store(root)
catalog = Catalog(store, checkpoint_every=4)
if role.startswith("worker"):
    with open(acknowledged, "a") as log:
        for batch in range(BATCHES):
            cells = [f"c{batch * 2 + i + (int(role[-1]) - 1)}" for i in range(CELLS)]
            if set(cells) <= catalog.keys("results"):
                continue
            rows = []
            for cell in cells:
                data = f"picture of {cell}".encode()
                digest = hashlib.sha256(data).hexdigest()
                store.put(f"pictures/{digest[:2]}/{digest}.png", data)
                row = {"cell_id": cell, "picture_digest": digest, "picture_bytes": len(data)}
                rows.append(row | {"seconds": time.time()})
            catalog.commit("results", role, f"b{batch}", rows)
            for cell in cells:
                print(cell, file=log, flush=True)
else:
    while True:
        getattr(catalog, role)("results", **{"compact": {"open_files": 3}, "gc": {"grace": 0}}.get(role, {}))
        time.sleep(0.005)
""".replace("BATCHES", str(BATCHES)).replace("CELLS", str(CELLS))


def start(root: Path, role: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", ACTOR, str(root / "root"), role, str(root / f"acknowledged-{role}")]
    with (root / f"errors-{role}").open("ab") as errors:
        return subprocess.Popen(command, stderr=errors)


@pytest.mark.slow
def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    dice = random.Random(1)
    workers, others = ["worker-1", "worker-2"], ["publish", "compact", "gc"]
    running = {role: start(tmp_path, role) for role in workers + others}
    kills = 0
    deadline = time.monotonic() + 250
    try:
        while (kills < 9 or any(role in running for role in workers)) and time.monotonic() < deadline:
            time.sleep(dice.uniform(0.1, 0.8))
            for role in workers:
                if role in running and running[role].poll() is not None:
                    assert running.pop(role).returncode == 0
            if kills < 9:
                victim = dice.choice(sorted(running))
                running[victim].kill()
                running[victim].wait()
                kills += 1
                running[victim] = start(tmp_path, victim)
    finally:
        for process in running.values():
            process.kill()
            process.wait()
    assert not set(workers) & running.keys(), "the workers never finished"
    assert kills == 9
    errors = "".join(path.read_text() for path in tmp_path.glob("errors-*"))
    assert "Error" not in errors, errors

    catalog = Catalog(open_store(tmp_path / "root"))
    acknowledged = {cell for path in tmp_path.glob("acknowledged-*") for cell in path.read_text().split()}
    every_cell = {f"c{n}" for n in range(BATCHES * 2 + CELLS - 1)}
    assert acknowledged <= catalog.keys("results") == every_cell
    catalog.publish("results")
    catalog.compact("results", open_files=2)
    frame = pd.read_parquet(tmp_path / "root/catalog/results")
    assert Counter(frame.cell_id) == Counter(every_cell)
    assert fsck(open_root(catalog.store.uri)).ok
