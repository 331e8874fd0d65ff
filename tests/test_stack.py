"""A standing stack as a user has it: a real server, real workers, and nothing left running in the end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sweeps import TINY_METHOD, write_pictures

from tasks.fsck.check import fsck
from tasks.prefect.stack import is_alive, standing
from tasks.root import open_root

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(400)]

CELLS = 16
DEADLINE_S = 240


@pytest.fixture
def stack(tmp_path):
    """A folder with manifests, in which commands are typed; what is up in the end is taken down."""
    write_pictures(tmp_path)
    method = {**TINY_METHOD, "steps": 200, "init": "noise", "pyramid": {"levels": 1}}
    for name, cells, steps in (("first", CELLS, 20), ("long", 400, 200)):
        manifest = {"name": name, "contents": "cat.png", "styles": "waves.png", "method": {**method, "steps": steps},
                    "sweep": {"seed": {"count": cells}}, "batch_size": 1, "preview_every": 0}  # fmt: skip
        (tmp_path / f"{name}.yaml").write_text(json.dumps(manifest))
    yield Stack(tmp_path)
    Stack(tmp_path).nst("down")


class Stack:
    def __init__(self, folder):
        self.folder, self.state = folder, folder / "state"

    def nst(self, *arguments, code=0):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "NST_"))}
        environment |= {"XDG_STATE_HOME": str(self.state), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        done = subprocess.run([sys.executable, "-m", "flows", *arguments], cwd=self.folder, env=environment,
                              capture_output=True, text=True, check=False, timeout=DEADLINE_S)  # fmt: skip
        assert done.returncode == code, done
        return done.stdout

    @property
    def record(self):
        return standing(self.state / "nst/prefect")

    @property
    def catalog(self):
        return open_root(str(self.folder / "out")).catalog

    def runs(self):
        """Return the names and states of the runs, from the server's own database."""
        with contextlib.closing(sqlite3.connect(self.state / "nst/prefect/standing.db", timeout=60)) as database:
            query = "select name, state_name from flow_run where name like '% part %' order by created"
            return database.execute(query).fetchall()

    def processes(self):
        """Return the processes that belong to it, by what the system says of their environment."""
        mine, found = f"PREFECT_HOME={self.state}/nst/prefect".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mine in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


def until(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def test_what_is_submitted_is_done_by_the_workers_of_a_standing_stack(stack):
    told = stack.nst("up", "--workers", "1", "--root", "out")
    assert re.search(r"page: http://127.0.0.1:\d+  password: nst:\S+\n", told)
    before = stack.record
    assert stack.nst("up", "--workers", "2", "--root", "out").count("worker: ") == 2
    now = stack.record
    assert now.server == before.server
    assert now.workers.items() > before.workers.items(), "what was up has stayed"

    told = stack.nst("submit", "first.yaml", "--watch")
    page = re.search(r"handed to \d workers?, as first \w{8} part 1: (http\S+)", told)
    assert page
    assert page[1].startswith(now.page)
    assert told.splitlines()[-1] == f"{CELLS} of {CELLS} cells"
    assert len(stack.catalog.read("results", ["cell_id"])) == CELLS
    assert fsck(open_root(str(stack.folder / "out"))).ok
    assert "all is done already" in stack.nst("submit", "first.yaml")

    for _ in range(2):  # to submit twice is to submit once
        assert " part 1: " in stack.nst("submit", "long.yaml", "--priority", "3")
    until(lambda: len(set(stack.catalog.read("results", ["worker"])["worker"].to_pylist())) > 2)
    parts = [state for name, state in stack.runs() if name.startswith("long")]
    assert sum(state == "Running" for state in parts) == 2, "each worker has a part of it"
    lost = min(now.workers)
    os.killpg(now.workers[lost].pid, signal.SIGKILL)
    until(lambda: not is_alive(now.workers[lost]))
    assert f"{lost} is gone; nst up brings up what is missing" in stack.nst("doctor", code=1)
    stack.nst("up", "--workers", "2", "--root", "out")
    after = stack.record
    assert after.server == now.server
    assert all(map(is_alive, after.workers.values()))

    told = stack.nst("cancel", "long")
    assert "withdrawn" in told
    assert re.search(r"cancelled \d+ of its runs", told)
    until(lambda: all(state in {"Cancelled", "Crashed"} for name, state in stack.runs() if name.startswith("long")))
    assert open_root(str(stack.folder / "out")).catalog.counts("failures") == {}
    assert stack.nst("down") == "the stack is down\n"
    assert until(lambda: not stack.processes())
    assert stack.record is None
    assert stack.nst("down") == "no stack is up on this machine\n"
