"""`nst work`: what somebody has submitted is done by whoever takes part, also when that somebody is gone."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import warm
from sweeps import TINY_METHOD, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs

from flows.command.log_json import logged
from flows.command.terminal import Terminal
from nst.errors import InputError, Stopped
from tasks.fsck.check import fsck
from tasks.root import open_root
from tasks.store import open_store

ROOT = Path(__file__).parent.parent
CELLS = 24


@pytest.fixture
def folder(tmp_path):
    write_pictures(tmp_path)
    method = {**TINY_METHOD, "steps": 40, "init": "noise", "pyramid": {"levels": 1}}
    manifest = {"name": "open", "contents": "[c]*.png", "styles": "waves.png", "method": method,
                "sweep": {"seed": {"count": CELLS}}, "batch_size": 1, "preview_every": 0}  # fmt: skip
    (tmp_path / "m.yaml").write_text(json.dumps(manifest))
    return tmp_path


def start(folder, *arguments, **environment):
    return warm.start(*arguments, cwd=folder, OMP_NUM_THREADS="1", **environment)


def submit(folder, manifest="m.yaml", root="out"):
    return start(folder, "run", manifest, "--inline", "--devices", "cpu", "--root", root)


def keys(root, prefix):
    return [stat.key for stat in open_store(str(root)).list(prefix)]


def until(condition, *commands):
    deadline = time.monotonic() + warm.DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, [command.said for command in commands]
        time.sleep(0.05)


def left_open(folder, manifest="m.yaml"):
    """Put a sweep on record that nobody works on."""
    assert start(folder, "submit", manifest).ended().returncode == 0


def kill_after(batches, command, root):
    until(lambda: len(keys(root, "state/results/wal/")) >= batches, command)
    os.killpg(command.pid, signal.SIGKILL)
    command.ended()


def kill_with_work_in_hand(command, root):
    """Kill a run that has committed three batches at least, and has taken one that it has not committed."""
    while True:
        until(lambda: len(keys(root, "state/results/wal/")) >= 3, command)
        os.killpg(command.pid, signal.SIGSTOP)
        if len(keys(root, "state/claims/")) > len(keys(root, "state/results/wal/")):
            break
        os.killpg(command.pid, signal.SIGCONT)
    os.killpg(command.pid, signal.SIGKILL)
    command.ended()


def documented():
    """Return the facts of each event, as the documents say them."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \|([^|]*)\|$", (ROOT / "docs" / "scaling.md").read_text(), re.MULTILINE)
    return {kind: facts.strip().split(", ") if facts.strip() else [] for kind, facts in rows}


def test_the_documents_name_every_event():
    code = [path.read_text() for folder in ("flows", "tasks") for path in (ROOT / folder).rglob("*.py")]
    assert {kind for text in code for kind in re.findall(r"\bevent\(\s*\"(\w+)\"", text)} == documented().keys()


def test_what_a_killed_run_left_is_done_without_its_manifest(folder):
    root = folder / "out"
    kill_with_work_in_hand(submit(folder), root)
    left = {int(Path(key).stem.rpartition("-")[0]) for key in keys(root, "state/claims/")}
    (folder / "m.yaml").unlink()
    (folder / "cow.png").write_bytes((folder / "cat.png").read_bytes())
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    ended = start(elsewhere, "work", "--root", str(root), "--devices", "cpu", "--log-json").ended()
    assert ended.returncode == 0, ended
    assert "taking part in open" in ended.stderr
    assert " done in " in ended.stderr
    begun, *told, last = lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert {(line["host"], line["pid"]) for line in lines} == {(socket.gethostname(), begun["pid"])}
    assert {(line["sweep"], line["name"]) for line in lines} == {(begun["sweep"], "open")}
    assert (begun["event"], last["event"]) == ("sweep_begun", "sweep_ended")
    batches = [line for line in told if line["event"] == "batch"]
    assert sum(line["done"] for line in batches) == last["done"] == begun["to_do"]
    assert {line["participant"] for line in lines} == {begun["participant"]}
    taken = [line for line in told if line["event"] == "taken"]
    assert sum(line["cells"] for line in taken) == last["done"]
    assert sorted(batch for line in taken for batch in line["batches"]) == sorted(line["batch"] for line in batches)
    stretches = [stretch for line in taken for stretch in line["stretches"]]
    over = {line["stretch"] for line in told if line["event"] == "taken_over"}
    assert over == left & set(stretches), "of what had been taken, all that was not done"
    assert set() < over < set(stretches)
    assert len(set(stretches)) == len(stretches) == len(batches), "a plan this small has as many as batches"
    for line in lines:
        assert list(line) == ["at", "event", "host", "pid", *documented()[line["event"]]]
    assert {line["device"] for line in batches} == {"cpu"}
    assert all(line["sweep"] == begun["sweep"] and line["seconds"] > 0 for line in batches)
    opened = open_root(str(root))
    assert len(opened.catalog.read("results", ["cell_id"])) == CELLS
    assert fsck(opened).ok
    assert keys(root, "state/plans/") == keys(root, "state/claims/") == []
    (page,) = (root / "gallery").glob("open-*/index.html")
    assert page.stat().st_size > 1000
    again = start(elsewhere, "work", "--root", str(root)).ended()
    assert (again.returncode, again.stdout.strip()) == (0, f"nothing is open below {root}")


def test_who_stays_takes_part_in_what_is_submitted_later_until_it_is_stopped(folder):
    root = folder / "out"
    helper = start(folder, "work", "--devices", "cpu", "--stay")
    until(lambda: "looking" in helper.said[1], helper)
    ended = submit(folder).ended()
    assert ended.returncode == 0, ended
    until(lambda: "open (" in helper.said[0], helper)
    done = CELLS - int(ended.stdout.split(": ")[1].split(" done")[0])
    assert f": {done} done in" in helper.said[0]
    assert len(keys(root, "state/results/wal/")) <= CELLS + 1
    helper.send_signal(signal.SIGTERM)
    assert helper.ended().returncode == 130


def test_what_has_failed_is_not_tried_again_until_it_is_submitted_anew(folder):
    """A picture that ends early looks well to the plan: its cells come first, and fail."""
    root = folder / "out"
    whole = (folder / "cat.png").read_bytes()
    (folder / "c-broken.png").write_bytes(whole[: len(whole) // 2])
    kill_after(2, submit(folder), root)
    failed = open_root(str(root)).catalog.counts("failures")
    assert failed
    helped = start(folder, "work", "--devices", "cpu").ended()
    assert helped.returncode == 1
    assert f"{CELLS} failed; mend what is named here, then submit it again to try only them" in helped.stdout
    after = open_root(str(root)).catalog.counts("failures")
    assert len(after) == CELLS
    assert after.items() >= failed.items()
    assert set(after.values()) == {1}
    again = start(folder, "work", "--devices", "cpu").ended()
    nothing = r"nothing is open below out; open \([0-9a-f]{8}\) had failures, and is tried again when .* again"
    assert again.returncode == 0
    assert re.fullmatch(nothing, again.stdout.strip())
    assert submit(folder).ended().returncode == 1
    assert set(open_root(str(root)).catalog.counts("failures").values()) == {2}


def test_a_machine_that_lacks_an_input_says_so_and_harms_nothing(folder):
    root = folder / "out"
    left_open(folder)
    (folder / "cat.png").unlink()
    ended = start(folder, "work", "--devices", "cpu").ended()
    assert ended.returncode == 1
    assert "open: this machine cannot take part:" in ended.stderr
    assert "cat.png does not exist" in ended.stderr
    assert open_root(str(root)).catalog.counts("failures") == {}
    assert " open" in start(folder, "status").ended().stdout.splitlines()[-1]
    assert len(keys(root, "state/plans/")) == 1
    shown = start(folder, "status", "open").ended().stdout
    assert re.search(
        rf"^  {re.escape(socket.gethostname())}, which looked .* ago: .*cat\.png does not exist", shown, re.MULTILINE
    )
    (left_out,) = json.loads(start(folder, "status", "open", "--json").ended().stdout)["left_out"]
    assert left_out["host"] == socket.gethostname()
    assert "cat.png does not exist" in left_out["error"]
    write_pictures(folder)
    assert start(folder, "work", "--devices", "cpu", "--log-json").ended().returncode == 0
    assert keys(root, "state/hindrances/") == []


@pytest.mark.parametrize(("error", "told"), [(Stopped("enough"), []), (InputError("no picture"), ["failed"])])
def test_what_ends_a_command_is_an_event_unless_it_was_asked_to_end(capsys, error, told):
    def end():
        with logged(Terminal(), wanted=True):
            raise error

    with pytest.raises(type(error)):
        end()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == told
    assert [line["error"] for line in lines] == [str(error)][: len(told)]


def test_nobody_has_to_read_the_log(folder):
    """`nst work --log-json | head -1`: the run goes on without its log."""
    manifest = json.loads((folder / "m.yaml").read_text())
    (folder / "m.yaml").write_text(json.dumps(manifest | {"sweep": {"seed": {"count": 4}}}))
    left_open(folder)
    command = [sys.executable, "-m", "flows", "work", "--devices", "cpu", "--log-json"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        assert b"sweep_begun" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(warm.DEADLINE_S) == 0
    assert len(open_root(str(folder / "out")).catalog.keys("results")) == 4


def test_one_sweep_of_several_can_be_named(folder):
    root = folder / "out"
    left_open(folder)
    other = json.loads((folder / "m.yaml").read_text())
    other |= {"name": "other", "contents": "dog.png", "sweep": {"seed": {"count": 3}}}
    (folder / "other.yaml").write_text(json.dumps(other))
    left_open(folder, "other.yaml")
    ended = start(folder, "work", "--devices", "cpu", "--sweep", "other").ended()
    assert ended.returncode == 0, ended
    assert "other (" in ended.stdout
    assert "open (" not in ended.stdout
    none = start(folder, "work", "--sweep", "nosuch").ended()
    assert none.returncode == 2
    assert "nothing named 'nosuch' was submitted to out" in none.stderr
    assert re.search(r"open there: open \([0-9a-f]{8}\)", none.stderr)
    ended = start(folder, "work", "--sweep", "other").ended()
    assert ended.returncode == 0
    assert "other is not open below out; open there: open (" in ended.stdout
    assert start(folder, "work", "--root", "m.yaml").ended().returncode == 2
    for wrong, told in [(("--root", "elsewhere"), "nothing was ever submitted to elsewhere"),
                        (("--inputs", "nowhere"), "nowhere is no folder")]:  # fmt: skip
        ended = start(folder, "work", *wrong).ended()
        assert ended.returncode == 2
        assert told in ended.stderr
    (left,) = keys(root, "state/plans/")
    whole = open_store(str(root)).get(left)
    open_store(str(root)).put(left, whole[:100])
    damaged = start(folder, "work").ended()
    assert damaged.returncode == 1
    assert f"{left} is damaged: Invalid JSON" in damaged.stderr
    open_store(str(root)).put(left, whole)
    assert b'"name":"open"' in open_store(str(root)).get(left)


def test_two_runs_of_a_training_train_each_model_once(folder):
    write_photographs(folder)
    write_training(folder, styles="styles/", steps=40)
    commands = [submit(folder, "tiny.yaml") for _ in range(2)]
    ended = [command.ended() for command in commands]
    assert [each.returncode for each in ended] == [0, 0], ended
    records = keys(folder / "out", "state/models/wal/")
    models = open_root(str(folder / "out")).catalog.keys("models", "model_id")
    assert len(models) == 2
    assert len(records) == 2, "each was trained once"
    assert keys(folder / "out", "state/claims/") == keys(folder / "out", "state/plans/") == []
    assert all(model in each.stdout for each in ended for model in models)


@pytest.mark.parametrize("command", ["run", "work"])
def test_what_is_withdrawn_is_left_by_whoever_takes_part(folder, command):
    """Its cells that are done stay; nobody goes on with it until it is submitted again."""
    root, changed = folder / "out", {"tasks.work.sharing.LOOK_S": 0.1}
    arguments = ("work",) if command == "work" else ("run", "m.yaml", "--inline")
    start(folder, "submit", "m.yaml").ended()
    helper = warm.start(*arguments, "--devices", "cpu", cwd=folder, changed=changed, OMP_NUM_THREADS="1")
    until(lambda: len(keys(root, "state/results/wal/")) >= 2, helper)
    told = start(folder, "cancel", "open").ended()
    assert told.returncode == 0, told
    assert re.fullmatch(r"open \([0-9a-f]{8}\): withdrawn; .*", told.stdout.strip())
    ended = helper.ended()
    assert ended.returncode == (0 if command == "work" else 130), ended
    assert "open was withdrawn" in ended.stderr
    done = len(open_root(str(root)).catalog.keys("results"))
    assert 2 <= done < CELLS
    assert open_root(str(root)).catalog.counts("failures") == {}
    assert keys(root, "state/plans/") == keys(root, "state/running/") == []
    assert " withdrawn" in start(folder, "status").ended().stdout.splitlines()[-1]
    nobody = start(folder, "cancel", "open").ended()
    assert nobody.returncode == 2
    assert "nothing named 'open' is open below" in nobody.stderr
    again = start(folder, "submit", "m.yaml").ended()
    assert f"{done} done already, {CELLS - done} to do" in again.stdout
    assert keys(root, "state/withdrawn/") == []
    assert start(folder, "work", "--devices", "cpu").ended().returncode == 0
    assert len(open_root(str(root)).catalog.keys("results")) == CELLS
    assert fsck(open_root(str(root))).ok
