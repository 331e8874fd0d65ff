"""A stop is no failure: real runs, really interrupted, in a pipe and in a terminal, with and without Prefect.

Control-C, which reaches all processes of a terminal, interrupts processes that nst started itself; where a signal is
meant for the command alone, the command, its worker and its server are forked from one that has imported torch.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import warm
import warm_prefect
from orders import planned

from flows.engine import InlineEngine
from flows.stop import begin, outcome, stop_signals
from nst.errors import Stopped
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.heartbeat import beating
from tasks.work.sharing import group_of

MANIFEST = """\
name: long
contents: content.png
styles: style.png
method: {name: gatys, size: 32, steps: 40, init: noise, content_layers: [relu1_1], style_layers: [relu1_1],
         backbone: {name: vgg16, weights: random}}
sweep: {seed: {count: 400}}
batch_size: 1
"""
CELLS = 400
LAST_LINE = "interrupted; what is done is kept, run again for the rest"
DEADLINE_S = 200


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("content", "style"):
        array = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(5, 0).repeat(5, 1)
        (tmp_path / f"{name}.png").write_bytes(encode(array, OutputFormat(), {}))
    (tmp_path / "long.yaml").write_text(MANIFEST)
    return tmp_path


def command(*more):
    return [sys.executable, "-m", "flows", "run", "long.yaml", *more]


def start(folder, *more):
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(
            command(*more), cwd=folder, stdout=said, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
        )  # fmt: skip


def start_with_prefect(folder, grace_s=DEADLINE_S, **environment):
    environment = {"XDG_STATE_HOME": str(folder / "state"), **environment}
    changed = {"flows.here.GRACE_S": grace_s}  # what a server has to record a stop
    return warm_prefect.start("run", "long.yaml", cwd=folder, changed=changed, **environment)


def recorded(process):
    """Return whether Prefect records the run, which begins before the private server answers."""
    return "page of the run" in process.said[1]


def wait_for(happened, process):
    """Return when something has happened; the process must not end before."""
    until = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < until, "it never happened"
        assert process.poll() is None, "the process ended before"
        time.sleep(0.01)


def children(process):
    files = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for file in files for pid in file.read_text().split()]


def server_of(folder):
    """Return the process of the private server that the run has started, if it has: it writes the log."""
    log = folder / "state/nst/prefect/runs-0.log"
    return next((int(file.parts[2]) for file in Path("/proc").glob("[0-9]*/fd/1") if leads_to(file, log)), None)


def leads_to(link, path):
    try:
        return link.readlink() == path
    except OSError:  # the process has ended
        return False


def committed(folder):
    return len(list((folder / "out/state/results/wal").glob("*/*.json")))


def check_root(folder, at_least):
    """Check that all that was committed is published, that the page shows it, and that nobody is blamed."""
    done = pd.read_parquet(folder / "out/catalog/results")
    assert at_least <= len(done) < CELLS
    assert len(done) == committed(folder)
    assert pd.read_parquet(folder / "out/catalog/failures").empty
    (page,) = (folder / "out/gallery").glob("*/index.html")
    data = json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])
    head = json.loads(page.with_name("live.js").read_text().partition("(")[2].partition("}")[0] + "}")
    assert (head["run"], head["ended"]) == (data["run"], True), "an open page waits for the next run, not for this one"
    assert (data["errors"].count(None), data["errors"].count("")) == (len(done), CELLS - len(done))
    return f"{len(done)} of {CELLS} cells are done"


def test_sigterm_publishes_and_writes_the_page_and_status_counts_what_is_done(folder):
    process = warm.start("run", "long.yaml", "--inline", cwd=folder)
    wait_for(lambda: committed(folder) >= 2, process)
    process.send_signal(signal.SIGTERM)
    ended = process.ended()
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert check_root(folder, 2) in ended.stderr
    assert ended.stderr.splitlines()[-1] == LAST_LINE
    plan = warm.nst("plan", "long.yaml", "--json", cwd=folder)
    assert json.loads(plan.stdout)["reasons"]["done"] == committed(folder)


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_prefect_records_a_stop_as_cancelled_and_retries_nothing(folder, migrated_state):
    shutil.copytree(migrated_state, folder / "state")
    process = start_with_prefect(folder)
    wait_for(lambda: committed(folder) >= 2 and recorded(process), process)
    process.send_signal(signal.SIGINT)
    ended = process.ended()
    assert ended.returncode == 130, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "ERROR" not in ended.stderr
    assert check_root(folder, 2) in ended.stderr
    assert ended.stderr.splitlines()[-1] == LAST_LINE
    with contextlib.closing(sqlite3.connect(folder / "state/nst/prefect/runs-0.db")) as records:
        assert records.execute("select state_type, run_count from flow_run").fetchall() == [("CANCELLED", 1)]
        runs = records.execute("select state_type, run_count from task_run").fetchall()
    assert {state for state, _ in runs} <= {"COMPLETED", "CANCELLED"}
    assert {count for _, count in runs} <= {0, 1}


def test_control_c_in_a_terminal_says_that_what_is_done_is_kept(folder):
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(sys.executable, command("--inline"))
    shown = bytearray()

    def read():
        while True:
            try:
                data = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                return
            shown.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    until = time.monotonic() + DEADLINE_S
    while committed(folder) < 1 and time.monotonic() < until:
        time.sleep(0.01)
    os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    reader.join(DEADLINE_S)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 130, shown.decode()
    assert shown.decode().rstrip().splitlines()[-1].endswith(LAST_LINE)
    assert "Traceback" not in shown.decode()
    assert check_root(folder, 1) in shown.decode()


def test_a_terminal_that_is_gone_is_a_stop(folder):
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it, as nohup does
        os.chdir(folder)
        os.execv(sys.executable, command("--inline"))
    until = time.monotonic() + DEADLINE_S
    while committed(folder) < 1 and time.monotonic() < until:
        time.sleep(0.01)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    check_root(folder, 1)


def test_an_interrupt_before_the_run_says_the_same(folder):
    """A manifest on a server that takes the connection and never answers: the command waits in planning."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        uri = f"http://127.0.0.1:{server.getsockname()[1]}/never.yaml"
        process = warm.start("plan", uri, cwd=folder)
        server.settimeout(DEADLINE_S)
        connection, _ = server.accept()
        process.send_signal(signal.SIGINT)
        ended = process.ended()
        connection.close()
    assert ended.returncode == 130
    assert ended.stderr.splitlines()[-1] == LAST_LINE
    assert "Traceback" not in ended.stderr


def test_plain_readers_open_a_root_before_its_first_picture(folder):
    process = warm.start("run", "long.yaml", "--inline", cwd=folder)
    wait_for(lambda: list(folder.glob("out/state/running/*/*.json")), process)
    results = pd.read_parquet(folder / "out/catalog/results")
    process.send_signal(signal.SIGTERM)
    process.ended()
    assert {"cell_id", "style_name", "loss", "picture_uri"} <= set(results.columns)
    assert len(results) <= committed(folder)


def test_an_orphaned_worker_blames_no_cell(folder):
    process = start(folder, "--inline")
    wait_for(lambda: committed(folder) >= 1, process)
    workers = children(process)
    process.kill()  # the parent alone: its worker is in the middle of a batch, and reports its last step to nobody
    until = time.monotonic() + DEADLINE_S
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    process.wait()
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert not list((folder / "out/state/failures/wal").glob("*/*.json"))


def test_reporting_to_an_owner_that_is_gone_does_nothing():
    from multiprocessing import Pipe

    from tasks.work.serve import _Owner, _reporter

    end, worker = Pipe()
    end.close()
    owner = _Owner(worker, "cpu")
    _reporter(owner, "key")(5, 5)
    owner.tell("done", "key", "x" * 1_000_000)


def test_a_bug_exits_with_70_and_shows_its_trace():
    code = (
        "import sys, flows.__main__ as nst\n"
        "nst.app.command('bug')(lambda: {}['x'])\n"
        "sys.argv = ['nst', 'bug']\n"
        "nst.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert done.stderr.splitlines()[-1] == "KeyError: 'x'"


def test_a_stop_does_not_wait_for_steps_that_never_end(monkeypatch):
    monkeypatch.setattr("flows.stop.GRACE_S", 0.2)
    never, stopping = threading.Event(), threading.Event()
    running = begin(never.wait)
    stopping.set()
    with pytest.raises(Stopped, match="did not publish"):
        outcome(running, stopping)
    never.set()


def test_an_effect_that_never_ends_does_not_hold_a_stopped_engine(monkeypatch):
    monkeypatch.setattr("flows.engine.GRACE_S", 0.2)
    never, began, engine = threading.Event(), threading.Event(), InlineEngine(1)

    def work():
        began.set()
        never.wait()

    with engine:
        future = engine.submit(work)
        assert began.wait(DEADLINE_S)
        engine.stopping.set()
    assert not future.done()
    never.set()


def test_the_second_signal_is_an_interrupt_and_ignored_signals_stay_ignored():
    stopping = threading.Event()
    before = signal.getsignal(signal.SIGINT), signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stop_signals(stopping):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
            signal.raise_signal(signal.SIGINT)
            assert stopping.is_set()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is before[0]
    finally:
        signal.signal(signal.SIGTERM, before[1])


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_a_run_outlives_its_private_server_and_says_one_line(folder, migrated_state):
    """Somebody else holds the last cells until the run has said its line, so that it has something left to outlive."""
    shutil.copytree(migrated_state, folder / "state")
    (folder / "long.yaml").write_text(MANIFEST.replace("400", "12"))
    prepared = planned(folder / "long.yaml", folder / "out")
    with beating(prepared.root.store, prepared.plan.sweep_id) as other:
        claim = f"state/claims/{group_of(prepared.plan)}/{list(prepared.plan.stretches())[-1]}-1.json"
        prepared.root.store.put(claim, json.dumps({"participant": other, "nonce": "x"}).encode())
        process = start_with_prefect(folder)
        wait_for(lambda: committed(folder) >= 2 and recorded(process), process)
        os.kill(server_of(folder), signal.SIGKILL)
        died = "the private Prefect server ended with code -9; the run goes on without its page"
        wait_for(lambda: died in process.said[1], process)
        before = committed(folder)
    ended = process.ended()
    assert ended.returncode == 0, ended.stderr
    assert before < 12
    assert "12 done" in ended.stdout
    assert ended.stderr.count(died) == 1
    assert "ERROR" not in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_a_run_does_not_need_a_server_that_never_answers(folder):
    (folder / "long.yaml").write_text(MANIFEST.replace("400", "3"))
    process = start_with_prefect(folder, **{warm_prefect.HELD: "1"})
    wait_for(lambda: server_of(folder), process)
    os.kill(server_of(folder), signal.SIGKILL)
    ended = process.ended()
    assert ended.returncode == 0, ended.stderr
    assert "3 done" in ended.stdout
    (line,) = [line for line in ended.stderr.splitlines() if "server" in line]
    assert "the private Prefect server ended with code -9; the run goes on without its page" in line
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_a_stop_before_the_server_answers_does_not_wait_for_it(folder, migrated_state):
    shutil.copytree(migrated_state, folder / "state")
    process = start_with_prefect(folder, **{warm_prefect.HELD: "1"})  # it will never answer
    wait_for(lambda: server_of(folder) and committed(folder) >= 2, process)
    process.send_signal(signal.SIGINT)
    os.kill(server_of(folder), signal.SIGCONT)
    ended = process.ended()
    assert ended.returncode == 130, ended.stderr
    assert check_root(folder, 2) in ended.stderr
    assert ended.stderr.splitlines()[-1] == LAST_LINE
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.xdist_group("prefect")
def test_one_control_c_ends_a_run_whose_server_hangs(folder, migrated_state):
    shutil.copytree(migrated_state, folder / "state")
    process = start_with_prefect(folder, grace_s=1)
    wait_for(lambda: committed(folder) >= 1 and recorded(process), process)
    server = server_of(folder)
    os.kill(server, signal.SIGSTOP)  # it neither answers nor dies
    process.send_signal(signal.SIGINT)
    ended = process.ended()
    assert ended.returncode == 130, ended.stderr
    assert not Path(f"/proc/{server}").exists()
    assert check_root(folder, 1) in ended.stderr
    assert ended.stderr.splitlines()[-1] == LAST_LINE
    assert "Traceback" not in ended.stderr
