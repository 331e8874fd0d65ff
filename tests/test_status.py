"""What has become of sweeps, and the heartbeat that says that one is running."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest

from nst.errors import InputError, StorageError, UserError
from tasks.heartbeat import Watch, beating, running_sweeps
from tasks.processes import Process, process_of, this_process
from tasks.root import open_root
from tasks.status import find_sweeps, sweep_statuses
from tasks.store import open_store

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def submit(catalog, sweep_id, name, cells, when):
    common = {"sweep_id": sweep_id, "sweep_name": name, "submitted_at": when}
    rows = [{"cell_id": cell, "position": n} for n, cell in enumerate(cells)]
    catalog.commit("sweeps", sweep_id, "cells", rows, common=common)


def test_equal_cells_of_two_sweeps_count_for_both(tmp_path):
    root = open_root(str(tmp_path))
    catalog = root.catalog
    submit(catalog, "aaaa1111", "first", ["x", "y", "z"], NOW)
    submit(catalog, "bbbb2222", "second", ["y", "w"], NOW + timedelta(hours=1))
    catalog.commit("results", "aaaa1111", "batch", [{"cell_id": "y"}])
    catalog.commit("failures", "aaaa1111", "batch", [{"cell_id": "x", "attempt": 1}, {"cell_id": "y", "attempt": 1}])
    second, first = sweep_statuses(root)
    assert (first.name, first.total, first.done, first.failed, first.to_do) == ("first", 3, 1, 1, 1)
    assert (second.name, second.total, second.done, second.failed, second.to_do) == ("second", 2, 1, 0, 1)
    assert not first.running
    for table in ("sweeps", "results", "failures"):
        catalog.publish(table)
    assert sweep_statuses(root) == [second, first]


def test_a_sweep_is_found_by_name_or_by_the_beginning_of_its_id(tmp_path):
    root = open_root(str(tmp_path))
    catalog = root.catalog
    submit(catalog, "aaaa1111", "same", ["x"], NOW)
    submit(catalog, "bbbb2222", "same", ["y"], NOW + timedelta(hours=1))
    assert [found.sweep_id for found in find_sweeps(root, "same")] == ["bbbb2222", "aaaa1111"]
    assert [found.sweep_id for found in find_sweeps(root, "aaaa")] == ["aaaa1111"]
    with pytest.raises(InputError, match="sweeps there: same"):
        find_sweeps(root, "aaa")


def test_a_sweep_is_running_while_its_heart_beats(tmp_path):
    store = open_store(tmp_path)
    with beating(store, "aaaa1111"):
        deadline = time.monotonic() + 200
        while running_sweeps(store) != {"aaaa1111"} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert running_sweeps(store) == {"aaaa1111"}
    assert running_sweeps(store) == set()
    for old in (json.dumps({"at": time.time() - 3600}), "{", "{}"):
        store.put("state/running/aaaa1111.json", old.encode())
        assert running_sweeps(store) == set()


def test_a_sweep_is_running_as_long_as_any_of_its_runs(tmp_path):
    store = open_store(tmp_path)
    with beating(store, "aaaa1111") as first:
        with beating(store, "aaaa1111") as second:
            assert Watch(store, "aaaa1111").look() == {first, second}
        assert running_sweeps(store) == {"aaaa1111"}
        assert Watch(store, "aaaa1111").look() == {first}
    assert running_sweeps(store) == set()
    store.put("state/running/bbbb2222.json", json.dumps({"at": time.time()}).encode())
    assert running_sweeps(store) == {"bbbb2222"}, "as older versions write it"


@pytest.mark.parametrize("error", [StorageError("no answer"), UserError("access denied")])
def test_a_heart_beats_again_after_a_store_that_refused(monkeypatch, error):
    """Or the others would take over what this run does."""
    monkeypatch.setattr("tasks.heartbeat.INTERVAL_S", 0.01)
    calls, beats_again = [], threading.Event()

    class Refusing:
        def put(self, key, data):
            calls.append(key)
            if len(calls) == 2:
                raise error
            if len(calls) == 3:
                beats_again.set()

        def delete(self, key):
            raise error

    with beating(Refusing(), "aaaa1111"):
        assert beats_again.wait(200)


def test_a_process_that_was_killed_is_gone_also_before_its_parent_has_asked(tmp_path):
    store = open_store(tmp_path)
    with subprocess.Popen(["sleep", "600"]) as child:
        process = process_of(child.pid)
        beat = {"at": time.time(), "count": 0, "process": asdict(process)}
        store.put("state/running/aaaa1111/killed.json", json.dumps(beat).encode())
        assert (running_sweeps(store), Watch(store, "aaaa1111").look()) == ({"aaaa1111"}, {"killed"})
        child.kill()
        deadline = time.monotonic() + 200
        while not process.is_gone and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.is_gone
        assert running_sweeps(store) == Watch(store, "aaaa1111").look() == set()
    assert process.is_gone


def test_only_processes_of_this_machine_and_boot_are_known_to_be_gone():
    here = this_process()
    assert here.machine
    assert not here.is_gone
    assert replace(here, started="1").is_gone, "another process with its number"
    assert not replace(here, machine="another", started="1").is_gone
    assert not Process().is_gone
