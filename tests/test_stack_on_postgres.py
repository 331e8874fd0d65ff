"""Four workers on one bucket, with PostgreSQL behind Prefect: workers are killed, the server stops for a while."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from stacks import Stack, parent, until

from tasks.fsck.check import fsck
from tasks.root import open_root

CELLS = 400
BINARIES = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)
AS_USER = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []

pytestmark = [
    pytest.mark.proof,
    pytest.mark.xdist_group("prefect"),
    pytest.mark.timeout(1500),
    pytest.mark.skipif(BINARIES is None, reason="PostgreSQL is not installed (apt-get install postgresql)"),
]


@pytest.fixture
def database():
    """The address of a database of a server of its own, on loopback, by an ordinary user."""
    folder = Path(tempfile.mkdtemp(prefix="nst-postgres-"))  # not in pytest's, which each session closes to other users
    if AS_USER:
        shutil.chown(folder, "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def call(*command):
        subprocess.run([*AS_USER, *command], check=True, capture_output=True, text=True, cwd=folder)

    call(f"{BINARIES}/initdb", "-D", f"{folder}/data", "-A", "trust", "-U", "nst")
    settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    call(f"{BINARIES}/pg_ctl", "-D", f"{folder}/data", "-l", f"{folder}/log", "-w", "-o", settings, "start")
    call(f"{BINARIES}/createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "nst", "prefect")
    yield f"postgresql+asyncpg://nst@127.0.0.1:{port}/prefect"
    call(f"{BINARIES}/pg_ctl", "-D", f"{folder}/data", "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder)


def test_a_sweep_outlives_workers_and_a_server_that_is_away(database, s3, tmp_path):
    root = s3.root("lab")
    stack = Stack(tmp_path, root, PREFECT_SERVER_DATABASE_CONNECTION_URL=database)
    try:
        stack.nst("up", "--workers", "3")
        began = time.monotonic()
        stack.nst("submit", "many.yaml")

        def taking_part():
            return max(sweep["taking_part"] for sweep in stack.status())

        until(lambda: taking_part() == 3)
        stack.nst("up", "--workers", "4")  # one is added late
        until(lambda: taking_part() == 4)
        record = stack.record
        workers = [process for name, process in sorted(record.processes.items()) if "cpu" in name]
        for lost in workers[:2]:  # each with its run, which is in a session of its own
            for number in stack.processes():
                if parent(number) == lost.pid:
                    os.kill(number, signal.SIGKILL)
            os.killpg(lost.pid, signal.SIGKILL)
        os.killpg(record.server.pid, signal.SIGSTOP)
        time.sleep(20)
        os.killpg(record.server.pid, signal.SIGCONT)
        until(lambda: all(sweep["state"] == "done" for sweep in stack.status()), 900)
        print(f"{CELLS} cells in {time.monotonic() - began:.0f} s")
        catalog = open_root(root).catalog
        rows = catalog.read("results", ["cell_id", "worker"])
        assert len(rows) == len(set(rows["cell_id"].to_pylist())) == CELLS
        assert len(set(rows["worker"].to_pylist())) >= 4
        assert catalog.counts("failures") == {}
        assert fsck(open_root(root)).ok
    finally:
        stack.nst("down")
    until(lambda: not stack.processes())
