"""Several real runs of one sweep on one root at the same time: they divide it, and replace one that ends or is killed.

Where a heartbeat never expires (`forever`), a run that did not see by other means that another is gone would not end.
"""

from __future__ import annotations

import json
import os
import re
import signal
import time
import uuid
from types import SimpleNamespace

import pytest
import warm
from orders import planned
from sweeps import TINY_METHOD, write_pictures

from flows.here import run_inline
from flows.order.request import Request, order_of
from flows.order.stylizing import _chunks
from nst.planning.batches import make_plan
from nst.planning.rates import LearnedRates
from tasks.fsck.check import fsck
from tasks.heartbeat import beating, running_sweeps
from tasks.layout import page_folder
from tasks.pages.live import JOINING, LivePage
from tasks.planning.registration import register_sweep
from tasks.root import Root, open_root
from tasks.store import open_store
from tasks.work.sharing import Sharing, group_of, has_claims
from tasks.work.stylize import Stylist

CELLS = 40


def manifest(steps=20, cells=CELLS, **keys):
    method = {**TINY_METHOD, "steps": steps, "init": "noise", "pyramid": {"levels": 1}}
    sweep = {"seed": {"count": cells}}
    return json.dumps({
        "name": "shared", "contents": "cat.png", "styles": "waves.png", "method": method, "sweep": sweep,
        "batch_size": 1, "preview_every": 0, **keys,
    })  # fmt: skip


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch):
    monkeypatch.setattr(warm.POLL_S, 0.2)


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


def check_whole(root, cells=CELLS):
    """Every cell is in the catalog once, and nobody holds anything."""
    opened = open_root(root)
    assert len(opened.catalog.read("results", ["cell_id"])) == cells
    assert fsck(opened).ok
    assert running_sweeps(opened.store) == set()
    assert claims(root) == []


@pytest.mark.timeout(600)
def test_three_equal_runs_compute_a_sweep_once(folder):
    root = str(folder / "out")
    ended = [command.ended() for command in [start(folder) for _ in range(3)]]
    assert [each.returncode for each in ended] == [0, 0, 0], ended
    check_whole(root)
    assert len(records(root)) <= 1.05 * CELLS
    assert sum(f" {CELLS} done" in each.stdout for each in ended) == 0, "nobody did all of it"


def test_the_last_stretches_are_left_to_whoever_comes(folder):
    """One device computes one batch at a time: of two batches, the second is nobody's until the first is done."""
    (folder / "two.yaml").write_text(manifest(800, cells=2))
    command = start(folder, "two.yaml")
    root, computing = str(folder / "out"), 0
    while True:
        claimed = claims(root)
        if records(root):
            break
        assert command.poll() is None, command.said
        assert len(claimed) <= 1
        computing += len(claimed)
        time.sleep(0.05)
    assert computing, "the first batch was seen while it was computed"
    assert command.ended().returncode == 0


def test_a_run_that_is_killed_is_replaced_at_once_by_one_on_its_machine(folder):
    """The heartbeat of the killed one stays, and says which process is gone: nobody waits for it to be old."""
    root = str(folder / "out")
    victim, survivor = start(folder), start(folder)
    wait_for(10, root, victim, survivor)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.ended()
    ended = survivor.ended()
    assert ended.returncode == 0, ended
    assert "by others" in ended.stdout
    check_whole(root)
    assert len(records(root)) <= CELLS + 3


@pytest.fixture
def forever(monkeypatch):
    monkeypatch.setattr("tasks.heartbeat.FRESH_S", 1e9)


def run(folder, file="m.yaml", root="out", watcher=lambda *_: None):
    """Run the sweep in this process and return its summary."""
    order = order_of(Request(str(folder / file), open_root(str(root)), "", ("cpu",)))
    return run_inline(order, watcher, lambda *_: None, lambda _: None)


def test_who_kills_a_run_and_starts_it_again_waits_for_nothing(folder, forever):
    root = str(folder / "out")
    victim = start(folder)
    wait_for(5, root, victim)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.ended()
    held = len(claims(root))
    notes = set()
    summary = run(folder, root=root, watcher=lambda _done, _total, note: notes.add(note))
    assert held > 5
    assert summary.done_before >= 5
    assert (summary.failed, summary.lost, summary.handled) == (0, 0, CELLS)
    assert notes == {""}, "it waits for nobody"
    check_whole(root)


def test_what_a_run_leaves_that_is_stopped_is_free_at_once(folder, forever, monkeypatch):
    """Nobody can tell that the process is gone, as on another machine: its heartbeat is not there any more."""
    monkeypatch.setattr("tasks.heartbeat.Process.is_gone", False)
    root = str(folder / "out")
    other = start(folder)
    wait_for(5, root, other)
    other.send_signal(signal.SIGTERM)
    summary = run(folder, root=root)
    assert other.ended().returncode == 130
    assert (summary.failed, summary.lost, summary.handled) == (0, 0, CELLS)
    check_whole(root)
    assert len(records(root)) <= CELLS + 3


def test_a_run_that_cannot_be_seen_is_replaced_when_its_heartbeat_stays_the_same(folder, monkeypatch):
    monkeypatch.setattr("tasks.heartbeat.FRESH_S", 2.0)
    root = str(folder / "out")
    store = open_store(root)
    plan = planned(folder / "m.yaml", root).plan
    far = json.dumps({"at": time.time() + 9000, "count": 3})  # of a clock that is hours off
    store.put(f"state/running/{plan.sweep_id}/elsewhere.json", far.encode())
    for number in range(3):
        claim = json.dumps({"participant": "elsewhere", "nonce": "x"})
        store.put(f"state/claims/{group_of(plan)}/{number}-1.json", claim.encode())
    summary = run(folder, root=root)
    assert (summary.done, summary.done_by_others) == (CELLS, 0)
    last = [key for key in claims(root) if not key.endswith("-1.json")]
    assert last == [f"state/claims/{group_of(plan)}/{number}-2.json" for number in range(3)]


def test_what_others_have_tried_in_vain_counts_and_is_not_tried_again(folder, monkeypatch):
    """The other one holds two cells, of which it does one, and records that the other has failed."""
    root = str(folder / "out")
    prepared = planned(folder / "m.yaml", root)
    sweep_id, (first, second) = prepared.plan.sweep_id, prepared.plan.cells.ids[:2]
    with beating(prepared.root.store, sweep_id) as other:
        for number in range(2):
            claim = json.dumps({"participant": other, "nonce": "x"})
            prepared.root.store.put(f"state/claims/{group_of(prepared.plan)}/{number}-1.json", claim.encode())

        def act(_done, _total, note):
            if "waiting for another participant" in note and not acted:
                acted.append(note)
                Stylist(prepared.root, "cpu").run(prepared.job(next(prepared.plan.batches())))
                row = {"cell_id": second, "attempt": 1, "error_class": "InputError", "error_message": "no picture"}
                prepared.root.catalog.commit("failures", sweep_id, "theirs", [row])

        acted = []
        summary = run(folder, root=root, watcher=act)
    assert acted
    assert (summary.done, summary.done_by_others, summary.failed, summary.lost) == (CELLS - 2, 1, 1, 0)
    assert [str(failure) for failure in summary.failures] == ["InputError: no picture"]
    assert summary.exit_code == 1
    assert f"{CELLS - 2} done in" in next(summary.lines("out"))
    assert ", 1 by others" in next(summary.lines("out"))
    done = prepared.root.catalog.keys("results")
    assert first in done
    assert second not in done


def test_a_choice_of_cells_is_divided_by_itself(folder):
    whole = planned(folder / "m.yaml", folder / "out").plan
    ids = whole.cells.ids[:3]
    order = order_of(Request(str(folder / "m.yaml"), open_root(str(folder / "out")), "", ("cpu",), only=tuple(ids)))
    assert order.prepared.plan.sweep_id == whole.sweep_id
    assert group_of(order.prepared.plan) != group_of(whole)
    assert group_of(whole).startswith(whole.sweep_id)
    summary = run_inline(order, lambda *_: None, lambda *_: None, lambda _: None)
    assert (summary.done, summary.not_chosen) == (3, CELLS - 3)


def test_places_of_stretches_do_not_depend_on_what_is_done(folder):
    plan = planned(folder / "m.yaml", folder / "out").plan
    done = set(plan.cells.ids[:7]) | {plan.cells.ids[20]}
    resumed = make_plan(plan.name, plan.cells, done)
    ids = {number: resumed.ids_of(index) for number, (index,) in resumed.stretches().items()}
    assert ids == {number: plan.ids_of(index) for number, (index,) in plan.stretches().items() if number in ids}
    assert sorted(set(range(CELLS)) - set(ids)) == [*range(7), 20]


def test_without_create_only_writes_there_are_no_claims_and_it_is_said(folder, caplog):
    root = Root(f"memory://{uuid.uuid4().hex}", single_publisher=True)
    order = order_of(Request(str(folder / "m.yaml"), root, "", ("cpu",)))
    assert not has_claims(order.prepared.root)
    with beating(order.prepared.root.store, order.prepared.plan.sweep_id) as me:
        alone = Sharing(order.prepared, me, lambda *_: None)
        assert not caplog.text
        with beating(order.prepared.root.store, order.prepared.plan.sweep_id):
            Sharing(order.prepared, me, lambda *_: None)
    assert "1 other participants" in caplog.text
    assert len(list(alone.batches())) == CELLS
    assert order.prepared.root.store.list("state/claims/") == []


def test_runs_that_share_a_sweep_follow_one_page(folder):
    """A page that is open knows one run by its id, and adds up what all of them tell it under this id."""
    prepared = planned(folder / "m.yaml", folder / "out")
    register_sweep(prepared)
    news = folder / "out" / page_folder("shared", prepared.plan.sweep_id) / "live.js"

    def run_of_news():
        found = re.search(r'"run": "([0-9a-f]{32})"', news.read_text()) if news.exists() else None
        return found and found[1]

    with LivePage(prepared, 0.05):
        deadline = time.monotonic() + warm.DEADLINE_S
        while not (first := run_of_news()) and time.monotonic() < deadline:
            time.sleep(0.01)
        with LivePage(prepared, 0.05, joins=JOINING):
            pass
        assert run_of_news() == first
    with LivePage(prepared, 0.05, joins=1):  # that one has ended
        pass
    assert run_of_news() not in {None, first}


@pytest.mark.timeout(600)
def test_two_runs_on_s3_compute_a_sweep_once(folder, s3):
    """A dozen cells, each of which takes ten requests."""
    root, cells = s3.root("root"), 12
    (folder / "few.yaml").write_text(manifest(cells=cells))
    ended = [command.ended() for command in [start(folder, "few.yaml", root=root) for _ in range(2)]]
    assert [each.returncode for each in ended] == [0, 0], ended
    check_whole(root, cells)
    assert len(records(root)) <= 1.05 * cells
    assert sum(f" {cells} done" in each.stdout for each in ended) == 0, "nobody did all of it"


def test_who_waits_for_others_publishes_for_them(folder):
    """The one that leads may have no device, or nothing left to do: rows are not to wait for the end then."""
    plan = planned(folder / "m.yaml", folder / "out").plan
    sharing = SimpleNamespace(
        batches=lambda: iter([None, None]), most_batches=1, participants=2, left=1.0, is_waiting=False, leads=True
    )
    run = SimpleNamespace(
        prepared=SimpleNamespace(plan=plan), devices=1, page=SimpleNamespace(), summary=SimpleNamespace(waits_for=0)
    )
    published = []
    taken = _chunks(run, sharing, LearnedRates(plan.history), lambda: published.append(1))
    assert [next(taken), next(taken)] == [None, None]
    assert len(published) == 2
