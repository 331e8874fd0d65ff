"""A standing stack as a user has it, in a folder of its own: the commands that are typed, and what is up."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import warm_prefect
from sweeps import TINY_METHOD, write_pictures

from tasks.prefect.standing import standing

CELLS = 8
DEADLINE_S = 240
"""Of one step."""


class Stack:
    """A folder in which commands are typed, and what is up of it."""

    def __init__(self, folder, root=None, **environment):
        self.folder, self.state, self.root = folder, folder / "state", root or str(folder / "out")
        self.environment = {"XDG_STATE_HOME": str(self.state), "OMP_NUM_THREADS": "1", "COLUMNS": "200", **environment}
        write_pictures(folder)
        whole = (folder / "cat.png").read_bytes()
        (folder / "broken.png").write_bytes(whole[: len(whole) // 2])
        sweeps = {"first": (CELLS, 20), "long": (400, 200), "lost": (400, 201), "torn": (2, 20), "many": (400, 300)}
        for name, (cells, steps) in sweeps.items():
            method = {**TINY_METHOD, "steps": steps, "init": "noise", "pyramid": {"levels": 1}}
            contents = "broken.png" if name == "torn" else "cat.png"
            manifest = {"name": name, "contents": contents, "styles": "waves.png", "method": method,
                        "sweep": {"seed": {"count": cells}}, "batch_size": 1, "preview_every": 0}  # fmt: skip
            (folder / f"{name}.yaml").write_text(json.dumps(manifest))

    def nst(self, *arguments, code=0, **more):
        """Type a command and return what it says; what it starts stays up, and is real; other commands are forked."""
        given = self.environment | {"NST_ROOT": self.root} | more
        if arguments[0] == "up":
            others = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "NST_"))}
            done = subprocess.run([sys.executable, "-m", "flows", *arguments], cwd=self.folder, env=others | given,
                                  capture_output=True, text=True, check=False, timeout=DEADLINE_S)  # fmt: skip
        else:
            done = warm_prefect.start(*arguments, cwd=self.folder, **given).ended(DEADLINE_S)
        assert done.returncode == code, done
        return done.stdout

    @property
    def record(self):
        return standing(self.state / "nst/prefect")

    def status(self):
        return json.loads(self.nst("status", "--json"))["submissions"]

    def runs(self, name):
        """Return the states of the parts of a sweep, from the server's own database."""
        with contextlib.closing(sqlite3.connect(self.state / "nst/prefect/standing.db", timeout=60)) as database:
            query = "select state_name from flow_run where name like ? order by created"
            return [state for (state,) in database.execute(query, (f"{name} % part %",))]

    def processes(self):
        """Return the processes that belong to it, by what the system says of their environment."""
        mine, found = f"PREFECT_HOME={self.state}/nst/prefect".encode(), []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mine in path.read_bytes().split(b"\0"):
                    found.append(int(path.parent.name))
        return found


def until(condition, seconds=DEADLINE_S):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def parent(number):
    """Return the number of a process's parent."""
    return int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
