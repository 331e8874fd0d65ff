"""The table `runs`: what each participant did and what its devices took for it, of real runs, as pandas reads it."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pandas as pd
import pytest
import warm
from sweeps import TINY_MANIFEST, TINY_METHOD, write_pictures
from trainings import write_manifest as write_training
from trainings import write_pictures as write_photographs

from flows.engine import InlineEngine
from flows.order.request import Request, order_of
from nst.errors import Stopped
from tasks.catalog import Catalog
from tasks.fsck.check import fsck
from tasks.processes import named_user
from tasks.removal import plan_removal, remove
from tasks.root import open_root

README = Path(__file__).parent.parent / "README.md"
ONE_BY_ONE = {**TINY_METHOD, "init": "noise", "pyramid": {"levels": 1}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    write_pictures(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NST_USER", raising=False)
    return tmp_path


def written(folder, name, steps=2, cells=4, **keys):
    sweep = {"seed": {"count": cells}}
    method = {**ONE_BY_ONE, "steps": steps}
    manifest = {**TINY_MANIFEST, "name": name, "contents": "cat.png", "method": method, "sweep": sweep,
                "batch_size": 1, "preview_every": 0, **keys}  # fmt: skip
    (folder / f"{name}.yaml").write_text(json.dumps(manifest))
    return folder / f"{name}.yaml"


def ordered(manifest, devices=("cpu",)):
    """Return the planned order of a manifest, below the root `out` beside it."""
    return order_of(Request(str(manifest), open_root(str(manifest.parent / "out")), "", tuple(devices)))


def carry_out(order, on_step=lambda *_: None, stopping=None):
    """Run an order in this process."""
    with order.workers(on_step) as pool, InlineEngine(len(order.devices), stopping) as engine:
        return order.run(engine, pool)


def run(manifest, devices=("cpu",), **hearing):
    return carry_out(ordered(manifest, devices), **hearing)


def runs(folder, name=None):
    """Return the published rows, the oldest first, with the lists and objects in them parsed."""
    found = pd.read_parquet(folder / "out/catalog/runs").sort_values("started_at", ignore_index=True)
    for column in ("methods", "devices", "method_seconds"):
        found[column] = found[column].map(json.loads)
    return found if name is None else found[found.name == name].reset_index(drop=True)


def check(row):
    """What holds of every row."""
    devices = len(row.devices)
    assert 0 <= row.device_seconds <= row.seconds * devices
    assert row.busy == pytest.approx(row.device_seconds / (row.seconds * devices))
    assert sum(row.method_seconds.values()) == pytest.approx(row.device_seconds)
    assert sorted(row.method_seconds) == row.methods
    assert row.started_at <= row.ended_at


def test_a_run_is_a_row_with_the_seconds_of_its_batches(folder, monkeypatch):
    monkeypatch.setenv("NST_USER", "  ada ")
    summary = run(written(folder, "first"), devices=("cpu", "cpu"))
    (row,) = runs(folder).itertuples()
    check(row)
    assert (row.run_id, row.sweep_id, row.kind, row.name) == (summary.participant, summary.sweep_id, "sweep", "first")
    assert (row.user, row.methods, row.devices, row.stopped) == ("ada", ["gatys"], ["cpu", "cpu"], False)
    assert row.submitted_by == "ada"
    assert (row.done, row.failed, row.by_others) == (4, 0, 0)
    results = pd.read_parquet(folder / "out/catalog/results")
    assert row.device_seconds == pytest.approx(results.drop_duplicates("batch_id").batch_seconds.sum())
    assert row.nst_version == results.nst_version[0]
    assert row.started_at <= results.started_at.min()
    assert results.finished_at.max() <= row.ended_at


def test_the_estimate_is_that_of_what_was_done_by_the_rates_that_were_known(folder):
    run(written(folder, "first"))
    results = pd.read_parquet(folder / "out/catalog/results")
    rate = results.seconds.sum() / results.cost.sum()
    run(written(folder, "second", steps=5, cells=3))
    run(written(folder, "third", method={**ONE_BY_ONE, "name": "mrf"}))
    first, second, third = runs(folder).itertuples()
    assert pd.isna(first.estimated_seconds)
    results = pd.read_parquet(folder / "out/catalog/results")
    assert second.estimated_seconds == pytest.approx(rate * results[results.sweep_name == "second"].cost.sum())
    assert pd.isna(third.estimated_seconds), "of another method nothing is known"
    assert third.methods == ["mrf"]


def test_two_participants_are_two_rows_that_add_up_to_the_sweep(folder, monkeypatch):
    """The second one has joined, and seen that there is something to do, before the first one goes on."""
    monkeypatch.setenv("NST_USER", "ada")
    manifest, other = written(folder, "shared", steps=20, cells=40), []

    def join(*_):
        if not other:
            about = ("--inline", "--root", folder / "out", "--devices", "cpu", "--log-json")
            other.append(warm.start("run", manifest, *about, NST_USER="grace"))
        while "sweep_begun" not in other[0].said[0]:
            assert other[0].poll() is None, other[0].said
            time.sleep(0.05)

    summary = run(manifest, on_step=join)
    assert other[0].ended().returncode == 0
    found = runs(folder)
    assert sorted(found.user) == ["ada", "grace"]
    assert set(found.submitted_by) == {"ada"}
    assert set(found.sweep_id) == {summary.sweep_id}
    assert len(pd.read_parquet(folder / "out/catalog/results")) == 40
    assert 40 <= found.done.sum() <= 42, "who takes over what another one had in hand may compute it, too"
    first = found[found.run_id == summary.participant].iloc[0]
    assert (first.user, first.done, first.by_others) == ("ada", summary.done, summary.done_by_others)
    assert first.done < 40
    for row in found.itertuples():
        check(row)


def test_a_stopped_run_has_its_row(folder):
    stopping = threading.Event()
    manifest = written(folder, "long", steps=40, cells=2000)
    with pytest.raises(Stopped):
        run(manifest, on_step=lambda *_: stopping.set(), stopping=stopping)
    (row,) = runs(folder).itertuples()
    check(row)
    assert row.stopped
    assert row.done <= len(pd.read_parquet(folder / "out/catalog/results")) < 2000


def test_a_killed_run_leaves_no_row_and_its_batches_are_on_record(folder):
    manifest = written(folder, "killed", steps=100, cells=60)
    victim = warm.start("run", manifest, "--inline", "--root", folder / "out", "--devices", "cpu")
    while not list((folder / "out/state/results/wal").glob("*/*.json")):
        assert victim.poll() is None, victim.said
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.ended()
    catalog = open_root(str(folder / "out")).catalog
    assert catalog.read("runs").num_rows == 0
    assert all(row["seconds"] > 0 for row in catalog.read("results", ["seconds"]).to_pylist())


def test_what_fails_counts_as_failed_of_whoever_tried_it(folder):
    order = ordered(written(folder, "broken", cells=2))
    (folder / "waves.png").write_bytes(b"no picture any more")
    carry_out(order)
    (row,) = runs(folder).itertuples()
    check(row)
    assert (row.done, row.failed, row.stopped) == (0, 2, False)
    assert pd.isna(row.estimated_seconds)


def test_a_training_and_the_sweep_that_needed_it_are_rows_of_their_own(folder):
    write_photographs(folder)
    write_training(folder, steps=4)
    method = {"name": "feedforward", "model": "tiny.yaml", "size": 48}
    run(written(folder, "painted", method=method, styles="styles/dots.png", sweep={"alpha": [0.5, 1]}))
    training, sweep = runs(folder).itertuples()
    for row in (training, sweep):
        check(row)
    assert (training.kind, training.name, training.methods, training.done) == ("train", "tiny", ["johnson"], 1)
    assert pd.isna(training.sweep_id)
    assert training.device_seconds > pd.read_parquet(folder / "out/catalog/models").seconds[0] > 0
    assert (sweep.kind, sweep.methods, sweep.done) == ("sweep", ["feedforward"], 2)
    assert training.ended_at <= sweep.started_at, "no second counts for both"


def test_a_training_that_is_stopped_has_had_its_device_until_then(folder):
    write_photographs(folder)
    write_training(folder, steps=100_000)
    stopping, heard = threading.Event(), []

    def on_step(_key, step, _steps):
        heard.append(step)
        if len(heard) == 4:
            stopping.set()

    with pytest.raises(Stopped):
        run(folder / "tiny.yaml", on_step=on_step, stopping=stopping)
    found = Catalog(open_root(str(folder / "out")).store).read("runs", live=False).to_pylist()
    (row,) = found
    assert (row["stopped"], row["done"], row["failed"]) == (True, 0, 0)
    assert 0 < row["device_seconds"] <= row["seconds"]


def test_a_run_with_nothing_to_do_has_no_row(folder):
    write_photographs(folder)
    write_training(folder, steps=2)
    sweep = written(folder, "once", cells=1)
    late = [ordered(manifest) for manifest in (sweep, folder / "tiny.yaml")]  # are planned before somebody has done it
    for manifest in (sweep, folder / "tiny.yaml", sweep, folder / "tiny.yaml"):
        run(manifest)
    assert [carry_out(order).done for order in late] == [0, 0]
    assert runs(folder).name.tolist() == ["once", "tiny"]


def test_the_example_of_the_readme(folder, monkeypatch):
    run(written(folder, "first"))
    monkeypatch.setenv("NST_USER", "ada")
    run(written(folder, "second", steps=3))
    (example,) = re.findall(r"```python\n(import json\n.*?)```", README.read_text(), re.DOTALL)
    *statements, by_user, compared = example.strip().splitlines()
    statements = [line for line in statements if not re.match(r"^by_method\.|^runs\.drop", line)]
    monkeypatch.chdir(folder)
    scope = {"pd": pd}
    exec("\n".join(statements), scope)
    found = eval(by_user, scope)
    assert set(found.index.get_level_values(0)) == {"first", "second"}
    assert found.gatys.sum() == pytest.approx(runs(folder).device_seconds.sum())
    assert (eval(compared, scope) > 0).all(axis=None)


def test_a_root_without_the_table_is_read_and_written_to(folder):
    """A root of an older version has nothing of it, and no version reads what it has no table for."""
    run(written(folder, "first"))
    root = open_root(str(folder / "out"))
    for key in [stat.key for stat in root.store.list("") if stat.key.startswith(("catalog/runs/", "state/runs/"))]:
        root.store.delete(key)
    opened = open_root(str(folder / "out"))
    assert opened.catalog.read("runs").num_rows == 0
    assert fsck(opened, read_data=0).ok
    run(written(folder, "second", steps=3))
    assert runs(folder).name.tolist() == ["second"]


def test_the_rows_stay_when_their_sweep_is_removed(folder):
    summary = run(written(folder, "gone"))
    root = open_root(str(folder / "out"))
    remove(root, plan_removal(root, summary.sweep_id, "gone"))
    assert pd.read_parquet(folder / "out/catalog/results").empty
    assert runs(folder).done.tolist() == [4]
    assert fsck(root).ok


def test_the_rows_of_many_runs_are_merged_and_healed_as_all_others(folder):
    run(written(folder, "first"))
    catalog = open_root(str(folder / "out")).catalog
    for number in range(9):
        for _ in range(2):  # as a row whose publication was tried again
            catalog.commit("runs", "trainings", f"run{number}", [{"run_id": f"run{number}"}])
        catalog.publish("runs")

    def files():
        return [path for path in (folder / "out/catalog/runs").rglob("*.parquet") if "schema" not in path.name]

    files()[0].unlink()
    open_root(str(folder / "out")).catalog.heal("runs")
    assert len(files()) == 10
    assert catalog.compact("runs", open_files=3) == 10
    assert len(files()) == 1
    assert len(pd.read_parquet(folder / "out/catalog/runs")) == 10


@pytest.mark.parametrize(
    ("given", "recorded"),
    [
        (b"", None),
        (b"  ", None),
        ("Zoë".encode(), "Zoë"),
        (b"x" * 1000, "x" * 200),
        (b"a\xffb", "a\N{REPLACEMENT CHARACTER}b"),
    ],
)
def test_the_submitter_is_a_text_whatever_the_variable_holds(monkeypatch, given, recorded):
    monkeypatch.setitem(os.environb, b"NST_USER", given)
    assert named_user() == recorded
