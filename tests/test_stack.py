"""A standing stack as a user has it: a real server, real workers, and nothing left running in the end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from stacks import CELLS, Stack, parent, until

from tasks.fsck.check import fsck
from tasks.prefect.client import asked
from tasks.prefect.stack import down
from tasks.prefect.standing import Told, in_use, is_alive, remember, told_last
from tasks.root import open_root

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prefect"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def told():
    """What a server on the web is told: bodies of JSON, one after the other."""
    bodies = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        bodies.append(f"http://127.0.0.1:{server.server_port}/hook")
        yield bodies
        server.shutdown()


@pytest.fixture(scope="module")
def stack(told, tmp_path_factory, migrated_state):
    """What is up in the end is taken down, and leaves nothing."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    (stack.state / "nst/prefect").mkdir(parents=True)
    shutil.copy(migrated_state / "nst/prefect/runs-0.db", stack.state / "nst/prefect/standing.db")
    said = stack.nst("up", "--workers", "1", "--root", "out", "--notify", told[0])
    assert re.search(r"page: http://127.0.0.1:\d+  password: nst:\S+\n", said)
    yield stack
    assert stack.nst("down") == "the stack is down\n"
    until(lambda: not stack.processes())
    assert stack.record is None
    assert stack.nst("down") == "no stack is up on this machine\n"


def test_what_is_submitted_is_done_by_the_workers(stack):
    said = stack.nst("submit", "first.yaml", "--watch")
    page = re.search(r"handed to \d workers?, as first \w{8} part 1: (http\S+)", said)
    assert page
    assert page[1].startswith(stack.record.page)
    assert said.splitlines()[-1] == f"{CELLS} of {CELLS} cells"
    opened = open_root(stack.root)
    assert len(opened.catalog.read("results", ["cell_id"], where=("sweep_name", {"first"}))) == CELLS
    assert fsck(opened).ok
    assert "all is done already" in stack.nst("submit", "first.yaml")
    until(lambda: set(stack.runs("first")) <= {"Completed", "Cancelled"})


def hears(told, subject):
    """Wait until an address was told something with this subject, and return the body."""
    return until(lambda: next((body["body"] for body in told[1:] if re.fullmatch(subject, body["subject"])), None))


def test_people_are_told_of_a_sweep_with_failed_cells(stack, told):
    stack.nst("submit", "torn.yaml")
    assert "broken.png" in hears(told, "nst: torn has ended with 2 failed cells")


def test_people_are_told_of_a_night_that_failed(stack, told):
    nightly = stack.folder / "out/manifests/nightly"
    nightly.mkdir(parents=True)
    (nightly / "faulty.yaml").write_text("kind: train\nname: [")
    with in_use(stack.record), asked() as client:
        night = client.read_deployment_by_name("train-nightly/train-nightly")
        client.create_flow_run_from_deployment(night.id)
    said = hears(told, f"nst: night below file://{stack.root} is Failed")
    assert "1 of 1 manifest failed" in said
    assert "faulty.yaml" in said


def test_a_sweep_whose_parts_are_all_killed_goes_on_by_itself_and_people_are_told(stack, told):
    lose_all_parts(stack)
    assert "-9" in hears(told, r"nst: lost \w{8} part \d+ is Crashed")
    until(lambda: "Crashed" in stack.runs("lost") and stack.runs("lost")[-1] == "Running")
    withdraw_lost(stack)


def lose_all_parts(stack):
    """Submit a long sweep, wait until it runs, and kill what all workers have started."""
    stack.nst("submit", "lost.yaml", "--priority", "4")
    until(lambda: "Running" in stack.runs("lost"))
    workers = {process.pid for name, process in stack.record.processes.items() if "-cpu-" in name}
    parts = [number for number in stack.processes() if parent(number) in workers]
    assert parts
    for number in parts:
        os.kill(number, signal.SIGKILL)


def withdraw_lost(stack):
    stack.nst("cancel", "lost")
    until(lambda: set(stack.runs("lost")) <= {"Cancelled", "Crashed", "Completed"})  # by itself, where it looked first


@pytest.mark.proof  # it waits until heartbeats are missed
def test_each_worker_has_a_part_and_one_that_is_killed_is_replaced(stack):
    before = stack.record
    assert stack.nst("up", "--workers", "2", "--root", "out").count("-cpu-") == 2
    now = stack.record
    assert now.server == before.server
    assert now.processes.items() >= before.processes.items(), "what was up has stayed"
    for _ in range(2):  # to submit twice is to submit once
        assert " part 1: " in stack.nst("submit", "long.yaml", "--priority", "3")
    until(lambda: stack.runs("long").count("Running") == 2)
    lost = min(now.processes)  # of cpu-0, cpu-1 and the inbox
    os.killpg(now.processes[lost].pid, signal.SIGKILL)
    until(lambda: not is_alive(now.processes[lost]))
    assert f"{lost} is gone; nst up --root file://{stack.root} brings up what is missing" in stack.nst("doctor", code=1)
    stack.nst("up", "--workers", "2", "--root", "out")
    after = stack.record
    assert after.server == now.server
    assert all(map(is_alive, after.processes.values()))
    said = stack.nst("cancel", "long")
    assert "withdrawn" in said
    assert re.search(r"cancelled \d+ of its runs", said)
    until(lambda: set(stack.runs("long")) <= {"Cancelled", "Crashed", "Completed"})
    until(lambda: "long" not in {sweep["name"] for sweep in stack.status() if sweep["taking_part"]})
    failures = open_root(stack.root).catalog.read("failures", ["content_name"])
    assert set(failures["content_name"].to_pylist()) <= {"broken"}


@pytest.mark.proof  # four times up and three times down take a processor for most of a minute
def test_up_after_down_has_the_root_and_the_workers_of_last_time(tmp_path, migrated_state):
    stack = Stack(tmp_path)
    shutil.copytree(migrated_state, stack.state)
    (stack.state / "nst/prefect/runs-0.db").rename(stack.state / "nst/prefect/standing.db")
    try:
        stack.nst("up", "--workers", "1", "--devices", "cpu", "--root", "here")
        before = stack.record
        stack.nst("down")
        assert stack.record is None
        assert told_last("http://elsewhere/api", stack.state / "nst/prefect") is None
        stack.nst("up", NST_ROOT="")
        assert stack.record.root == f"file://{tmp_path}/here"
        assert stack.record.processes.keys() == before.processes.keys()
        said = stack.nst("up", "--workers", "0", "--root", "there")
        assert f"work on file://{tmp_path}/there from now on, and no longer on file://{tmp_path}/here" in said
        stack.nst("up", NST_ROOT="")
        assert stack.record.root == f"file://{tmp_path}/there"
        assert [name for name in stack.record.processes if "-cpu-" in name] == [], "none is remembered, too"
        with contextlib.closing(sqlite3.connect(stack.state / "nst/prefect/standing.db", timeout=60)) as database:
            database.execute("alter table flow_run rename to gone")
    finally:
        stack.nst("down")  # also of a server whose database is damaged
    until(lambda: not stack.processes())


def test_what_up_was_told_last_is_kept_for_its_own_server_alone(tmp_path):
    assert told_last("", tmp_path) is None
    remember(now := Told("", "file:///here", ("cpu", "cuda:0")), tmp_path)
    assert told_last("", tmp_path) == now
    assert told_last("http://elsewhere/api", tmp_path) is None
    (tmp_path / "told.json").write_text("rubbish")
    assert told_last("", tmp_path) is None


def test_what_a_damaged_record_does_not_tell_of_is_ended_all_the_same(tmp_path):
    """A stack whose record is rubbish was said not to be there, and another one came up beside it."""
    left = subprocess.Popen(["sleep", "600"], env={**os.environ, "PREFECT_HOME": str(tmp_path)}, start_new_session=True)
    try:
        until(Path(f"/proc/{left.pid}/environ").read_bytes)  # it is empty for a moment in which the program is loaded
        assert not down(print, state_dir=tmp_path)
        assert left.poll() is None
        (tmp_path / "standing.json").write_text("rubbish")
        assert down(print, state_dir=tmp_path)
        assert left.wait(30) < 0
        assert not down(print, state_dir=tmp_path)
    finally:
        left.kill()
