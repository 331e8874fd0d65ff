"""`nst run --engine ray`: real actors of a real Ray on this machine, which are killed and interrupted."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest
import warm
from sweeps import TINY_METHOD, write_pictures

from flows.__main__ import app
from flows.command.leaving import leave_by
from flows.command.terminal import Terminal
from tasks.fsck.check import fsck
from tasks.processes import process_of
from tasks.root import open_root
from tasks.store import open_store

CELLS = 30
MANY = 1000
LEAVING_S = 20

pytestmark = pytest.mark.xdist_group("ray")  # one Ray at a time


@pytest.fixture
def ray():
    return pytest.importorskip("ray", reason="the extra `ray` is not installed")


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path)
    method = {**TINY_METHOD, "steps": 40, "init": "noise", "pyramid": {"levels": 1}}
    manifest = {"name": "rays", "contents": "cat.png", "styles": "waves.png", "method": method,
                "sweep": {"seed": {"count": CELLS}}, "batch_size": 1, "preview_every": 0}  # fmt: skip
    (tmp_path / "m.yaml").write_text(json.dumps(manifest))
    return tmp_path


def start(folder, *arguments):
    arguments = ("run", "m.yaml", "--root", "out", "--engine", "ray", "--log-json", *arguments)
    return warm.start(*arguments, cwd=folder, OMP_NUM_THREADS="1")


def processes(command):
    """Return all processes that a command has started, and those that they have, with their command lines."""
    parents, found = {}, {}
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(each.name)] = int((each / "stat").read_text().rpartition(")")[2].split()[1])
    for pid in parents:
        ancestor = pid
        while ancestor := parents.get(ancestor, 0):
            if ancestor == command.pid:
                with contextlib.suppress(OSError):
                    found[process_of(pid)] = Path(f"/proc/{pid}/cmdline").read_text().strip("\0 ")
    return {process: title for process, title in found.items() if title}  # the others have ended


def left_of(processes):
    """Return the names of those of some processes that do not end: those of Ray that nobody ends stay for minutes."""
    deadline = time.monotonic() + LEAVING_S
    while True:
        left = [title for process, title in processes.items() if not process.is_gone]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


def records(root):
    return [stat.key for stat in open_store(str(root)).list("state/results/wal/") if stat.key.endswith(".json")]


def actors(root, command):
    """Return the processes that take part in the sweep, but for the command itself."""
    store = open_store(str(root))
    beats = [store.get(stat.key) for stat in store.list("state/running/")]
    return {json.loads(beat)["process"]["pid"] for beat in beats} - {command.pid}


def until(condition, command):
    deadline = time.monotonic() + warm.DEADLINE_S
    while not condition():
        assert command.poll() is None, command.said
        assert time.monotonic() < deadline, command.said
        time.sleep(0.02)


def events(ended):
    return [json.loads(line) for line in ended.stdout.splitlines()]


def ending(ended):
    """Return the processes that said that their part of the sweep is over."""
    return {event["pid"] for event in events(ended) if event["event"] == "sweep_ended"}


def rows(root):
    found = open_root(str(root)).catalog.read("results", ["cell_id", "picture_digest"]).to_pylist()
    assert len(found) == len({row["cell_id"] for row in found})
    return {row["cell_id"]: row["picture_digest"] for row in found}


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [0, pytest.param(3, marks=pytest.mark.proof)])
def test_actors_make_the_rows_and_bits_of_an_inline_run_however_often_they_are_killed(ray, folder, times):
    root, killed = folder / "out", set()
    command = start(folder, "--devices", "cpu,cpu")
    while len(killed) < times:
        before = len(records(root))
        until(lambda before=before: len(records(root)) > before and actors(root, command) - killed, command)
        victim = min(actors(root, command) - killed)
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    until(lambda: actors(root, command), command)
    started = processes(command)
    ended = command.ended()
    assert ended.returncode == 0, ended
    assert command.pid in ending(ended), "the standard output is for events alone"
    assert f": {CELLS} done in" in ended.stderr
    assert ("was killed, and Ray has started another" in ended.stdout) == (times > 0)
    assert len(started) > 2 + times
    assert left_of(started) == []
    opened = open_root(str(root))
    assert opened.catalog.counts("failures") == {}
    assert fsck(opened).ok
    assert len(records(root)) <= CELLS + len(killed), "a killed actor costs the batch that it had in hand"
    at_work = {event["pid"] for event in events(ended) if event["event"] == "batch"}
    assert len(at_work - killed) >= 1
    assert command.pid not in at_work
    (page,) = (root / "gallery").glob("rays-*/index.html")
    assert page.stat().st_size > 1000
    inline = warm.nst(
        "run", "m.yaml", "--inline", "--devices", "cpu", "--root", "inline", cwd=folder, OMP_NUM_THREADS="1"
    )
    assert inline.returncode == 0, inline
    assert rows(root) == rows(folder / "inline")
    assert len(rows(root)) == CELLS


@pytest.mark.slow
@pytest.mark.process
def test_control_c_keeps_what_is_done_and_leaves_no_process_behind(ray, folder):
    root = folder / "out"
    command = start(folder, f"sweep.seed={{count: {MANY}}}", "--devices", "cpu")
    until(lambda: records(root), command)
    agents = {"ray::DashboardAgent", "ray::RuntimeEnvAgent"}  # of all processes the last to go
    until(lambda: agents <= set(processes(command).values()), command)
    started = processes(command)
    assert {process.pid for process in started} > actors(root, command) > set()
    command.send_signal(signal.SIGINT)
    ended = command.ended()
    assert ended.returncode == 130, ended
    assert command.pid in ending(ended)
    assert f" of {MANY} cells are done" in ended.stderr
    assert left_of(started) == []
    assert 1 <= len(rows(root)) < MANY
    assert len(rows(root)) == len(records(root))


def refused(monkeypatch, capsys, *arguments):
    """Return the one line that a run says that ends with exit code 2."""
    monkeypatch.setattr(sys, "argv", ["nst", "run", "m.yaml", *arguments])
    with pytest.raises(SystemExit) as left:
        leave_by(app, Terminal(stderr=True))
    assert left.value.code == 2
    planning, line = capsys.readouterr().err.splitlines()
    assert planning == "reading and planning m.yaml"
    return line


def test_without_the_extra_one_line_says_how_to_install_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "flows.ray_engine", raising=False)
    line = refused(monkeypatch, capsys, "--engine", "ray")
    assert line.startswith("error: --engine ray needs the extra 'ray': ")
    assert line.endswith("(pip install 'nst-batch[ray]')")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--engine", "ray", "--inline"], "--inline and --engine ray name two engines"),
        (["--ray-address", "auto"], "--ray-address names a cluster, and the run is not on Ray"),
        (["--engine", "ray", "--ray-address", "auto", "--devices", "cpu"], "--devices names devices of this machine"),
    ],
)
def test_options_that_contradict_each_other_are_refused(ray, monkeypatch, capsys, arguments, line):
    assert line in refused(monkeypatch, capsys, *arguments)


def test_an_address_without_a_cluster_is_refused_at_once(ray, monkeypatch, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)
        line = refused(monkeypatch, capsys, "--engine", "ray")
    assert line.startswith(f"error: no Ray cluster can be used at {address}: [Errno 111] Connection refused")
