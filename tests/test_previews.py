"""Previews: what they show, that they change nothing, and that nothing goes wrong because of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from sweeps import picture_of, plan, rows, run, write_pictures

from flows.engine import InlineEngine
from flows.order.sweep import SweepOrder
from nst.errors import ManifestError, StorageError
from nst.manifest.sweep import parse_manifest
from tasks.fsck.check import fsck
from tasks.fsck.orphans import find_orphans, store_time
from tasks.heartbeat import running_sweeps
from tasks.layout import preview_key, previews
from tasks.pages.export import export_sweep
from tasks.pages.results_frame import results_frame
from tasks.removal import plan_removal, remove
from tasks.root import open_root
from tasks.store.local import LocalStore
from tasks.work.previews import StoredPreviews
from tasks.work.workers import DevicePool

LAYERS = {"content_layers": "relu1_1", "style_layers": "relu1_1"}
METHODS = {
    "gatys": LAYERS,
    "gatys with Adam": {**LAYERS, "optimizer": {"name": "adam", "ema": 0.9}},
    "gatys in the content's colours": {**LAYERS, "color": "luminance"},
    "gatys through the guided filter": {**LAYERS, "guided_filter": {"radius": 3}},
    "mrf": {"content_layers": "relu1_1", "style_layers": "relu1_1"},
    "mdan": {"content_layers": "relu2_1", "style_layers": "relu2_1"},
    "texture": {"style_layers": "relu1_1", "width": 40, "height": 32},
    "invert": {},
    "dream": {},
}
NEEDS = {"texture": {"styles"}, "invert": {"contents"}, "dream": {"contents"}}


def manifest(name="gatys", changes=None, **keys):
    method = {"name": name, "steps": 8, "pyramid": {"levels": 1}, "backbone": {"weights": "random"}}
    images = {"contents": "cat.png", "styles": "waves.png"}
    size = {} if name == "texture" else {"size": 40}
    used = {key: value for key, value in images.items() if key in NEEDS.get(name, images)}
    return yaml.safe_dump({"name": "previewed", **used, "method": {**method, **size, **(changes or {})}, **keys})


def steps_of(row):
    return json.loads(row["preview_steps"] or "[]")


def preview_of(prepared, row, step):
    with Image.open(BytesIO(prepared.root.store.get(preview_key(row["cell_id"], step)))) as image:
        return np.array(image.convert("RGB")).astype(int)


def as_webp(array):
    """Return what the thumbnail's encoder makes of a picture."""
    out = BytesIO()
    Image.fromarray(array).save(out, "WEBP", quality=80, method=2)
    return np.array(Image.open(out).convert("RGB")).astype(int)


@pytest.mark.parametrize("case", METHODS)
def test_a_preview_is_the_picture_of_a_run_with_as_many_steps(tmp_path, case):
    """Nothing but the encoder's loss is between them: a run of four steps ends where one of eight was after four."""
    write_pictures(tmp_path)
    name, settings = case.split()[0], METHODS[case]
    prepared = plan(tmp_path, manifest(name, settings, preview_every=4))
    (row,) = run(prepared)
    (short,) = run(plan(tmp_path, manifest(name, {**settings, "steps": 4}, preview_every=0)))
    assert steps_of(row) == [4]
    assert short["preview_steps"] is None
    found, expected = preview_of(prepared, row, 4), picture_of(short)
    assert np.abs(found - as_webp(expected)).mean() < 0.5
    assert np.abs(found - picture_of(row)).mean() > np.abs(found - expected).mean()


def test_previews_count_the_steps_of_all_levels_and_have_the_size_of_theirs(tmp_path):
    prepared = plan(write_pictures(tmp_path), manifest(changes={**LAYERS, "pyramid": {"levels": 2}}, preview_every=3))
    (row,) = run(prepared)
    assert row["steps_done"] == 16
    assert steps_of(row) == [3, 6, 9, 12, 15]
    assert find_orphans(prepared.root, store_time(prepared.root.store), grace=-2) == ()
    assert [preview_of(prepared, row, step).shape for step in (6, 9)] == [(15, 20, 3), (30, 40, 3)]


def test_a_large_picture_has_small_previews_of_itself(tmp_path):
    write_pictures(tmp_path)
    prepared = plan(tmp_path, manifest(changes={**LAYERS, "size": 500, "steps": 2}, preview_every=1))
    (row,) = run(prepared)
    (short,) = run(plan(tmp_path, manifest(changes={**LAYERS, "size": 500, "steps": 1})))
    small = np.array(Image.fromarray(picture_of(short)).resize((320, 240), Image.Resampling.LANCZOS)).astype(int)
    found = preview_of(prepared, row, 1)
    assert found.shape == (240, 320, 3)
    assert np.abs(found - small).mean() < 6


def test_of_a_picture_that_stops_early_the_steps_are_those_that_it_took(tmp_path):
    settings = {**LAYERS, "steps": 60, "early_stop": {"tolerance": 0.05, "patience": 4}, "trace_every": 1}
    keys = {"preview_every": 4, "sweep": {"style_weight": [1, 300]}, "batch_size": 2}
    prepared = plan(write_pictures(tmp_path), manifest(changes=settings, **keys))
    found = run(prepared)
    assert min(row["steps_done"] for row in found) < 56
    for row in found:
        assert steps_of(row) == list(range(4, row["steps_done"], 4))


def test_how_often_changes_no_id_and_computes_nothing_again(tmp_path):
    write_pictures(tmp_path)
    first = plan(tmp_path, manifest(changes={**LAYERS, "steps": 100}))
    (row,) = run(first)
    assert steps_of(row) == [25, 50, 75], "by themselves about ten, and at least 25 steps apart"
    for every in (0, 7, None):
        again = plan(tmp_path, manifest(changes={**LAYERS, "steps": 100}, preview_every=every))
        assert again.plan.cells.ids == first.plan.cells.ids
        assert again.plan.sweep_id == first.plan.sweep_id
        assert again.plan.to_do == 0
        assert again.plan.output_bytes == 0


def test_a_plan_counts_their_bytes(tmp_path):
    write_pictures(tmp_path)
    bytes_of = [plan(tmp_path, manifest(changes=LAYERS, preview_every=n)).plan.output_bytes for n in (0, 4, 1)]
    assert bytes_of[2] - bytes_of[0] == 7 * (bytes_of[1] - bytes_of[0]) > 0, "of 8 steps one has one, or 7"


def test_short_optimisations_and_networks_without_steps_have_none(tmp_path):
    write_pictures(tmp_path)
    (row,) = run(plan(tmp_path, manifest(changes={**LAYERS, "steps": 25})))
    images = "contents: cat.png\nstyles: waves.png\n"
    baseline = "name: bare\nmethod: {name: baseline, size: 40, kind: content}\npreview_every: 1\n"
    (other,) = run(plan(tmp_path, baseline + images))
    assert row["preview_steps"] is other["preview_steps"] is None
    assert not (tmp_path / "out" / "previews").exists()


@pytest.mark.parametrize("value", ["-1", "2.5", "often", "true"])
def test_what_cannot_be_is_refused_at_its_place(value):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(manifest(changes=LAYERS) + f"preview_every: {value}\n", "m.yaml")
    (problem,) = caught.value.problems
    assert "preview_every" in str(problem)


# ---- whatever goes wrong with them, the pictures do not ---------------------------------------------------------
def test_a_store_that_refuses_previews_costs_no_cell(tmp_path, monkeypatch, caplog):
    prepared = plan(write_pictures(tmp_path), manifest(changes=LAYERS, preview_every=2))
    put = LocalStore.put

    def refusing(self, key, data, **options):
        if key.startswith("previews/"):
            raise StorageError("the quota is used up")
        return put(self, key, data, **options)

    monkeypatch.setattr(LocalStore, "put", refusing)
    (row,) = run(prepared)
    assert row["preview_steps"] is None
    assert caplog.text.count("the quota is used up") == 1, "it is said once, and not tried again for this batch"


def test_a_store_that_is_slow_is_not_waited_for(tmp_path):
    opened, told = threading.Event(), []
    store = open_root(str(tmp_path)).store

    class Slow:
        def put(self, key, data):
            opened.wait()
            store.put(key, data)

    kept = StoredPreviews(Slow(), 1, told.append)
    for step in range(1, 11):  # if it waited for the store, this would never end
        kept.onlooker.show({"cell": step}, lambda: np.zeros((1, 8, 8, 3), np.uint8))
    opened.set()
    kept.ended()
    stored = json.loads(kept.columns("cell", 100)["preview_steps"])
    assert [{"cell": step} for step in stored] == told
    assert stored[0] == 1
    assert len(stored) < 10, "what came meanwhile is left out"


def test_of_a_batch_that_is_killed_nothing_harmful_is_left(tmp_path):
    write_pictures(tmp_path)
    (tmp_path / "m.yaml").write_text(manifest(changes={**LAYERS, "steps": 4000}, preview_every=2))
    command = [sys.executable, "-m", "flows", "run", "m.yaml", "--inline", "--root", "out"]
    process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True, stderr=subprocess.DEVNULL)
    folder = tmp_path / "out"
    deadline = time.monotonic() + 120
    try:
        while len(list(folder.glob("previews/*/*/*.webp"))) < 3 or "[2, 4" not in told(folder):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    left = set(folder.glob("previews/*/*/*.webp"))
    prepared = plan(tmp_path, manifest(changes={**LAYERS, "steps": 4000}, preview_every=2))
    assert prepared.plan.to_do == 1
    report = fsck(prepared.root)
    assert report.ok, report.problems
    (cell_id,) = prepared.plan.cells.ids
    assert {file.parent.name for file in left} == {cell_id}
    remove(open_root(str(folder)), plan_removal_of(prepared))
    assert list(folder.glob("previews/*/*/*.webp")) == [], "the row of no cell names them"


def told(folder):
    """Return what the page of the only sweep reads while it runs: it comes from the worker through the run."""
    return "".join(file.read_text() for file in folder.glob("gallery/*/live.js"))


def plan_removal_of(prepared):
    assert running_sweeps(prepared.root.store) == set(), "it was killed on this machine"
    return plan_removal(open_root(prepared.root.uri), prepared.plan.sweep_id, prepared.plan.name)


# ---- what belongs to a sweep ------------------------------------------------------------------------------------
@pytest.fixture
def done(tmp_path):
    """Two sweeps with a cell in common, which were run."""
    write_pictures(tmp_path)
    found = []
    for name, weights in (("one", [1, 10]), ("two", [10, 100])):
        text = manifest(changes={**LAYERS, "steps": 6}, preview_every=2, sweep={"style_weight": weights})
        prepared = plan(tmp_path, text.replace("name: previewed", f"name: {name}"))
        SweepOrder(prepared, ("cpu",)).run(InlineEngine(1), DevicePool(prepared.root, ("cpu",)))
        found.append(plan(tmp_path, text.replace("name: previewed", f"name: {name}")))
    return found


def test_the_removal_of_a_sweep_takes_the_previews_of_its_own_cells(done):
    one, two = done
    root = open_root(one.root.uri)
    alone, shared = one.plan.cells.ids
    assert len(root.store.list("previews/")) == 6
    remove(root, plan_removal(root, one.plan.sweep_id, "one"))
    assert root.store.list(previews(alone)) == []
    assert len(root.store.list(previews(shared))) == 2
    assert len(root.store.list("previews/")) == 4
    assert fsck(open_root(two.root.uri)).ok


def test_an_exported_page_has_the_previews_beside_it_as_a_moved_root_has(done, tmp_path):
    one, _ = done
    Path(one.root.uri.removeprefix("file://")).rename(tmp_path / "moved")
    catalog = open_root(str(tmp_path / "moved")).catalog
    export_sweep(catalog, one.plan.sweep_id, tmp_path / "exported", page=True)
    page = (tmp_path / "exported" / "index.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("<")[0])
    assert data["previews"] == {"values": [[2, 4]], "index": [0, 0], "base": "previews"}
    for cell_id in one.plan.cells.ids:
        for step in (2, 4):
            exported = (tmp_path / "exported" / preview_key(cell_id, step)).read_bytes()
            assert exported == catalog.store.get(preview_key(cell_id, step))


def test_rows_say_which_previews_there_are(done):
    for prepared in done:
        for row in rows(prepared, "results"):
            stored = {stat.key for stat in prepared.root.store.list(previews(row["cell_id"]))}
            assert {preview_key(row["cell_id"], step) for step in steps_of(row)} == stored
    frame = results_frame(open_root(done[0].root.uri))
    assert frame.preview_steps.tolist() == [[2, 4]] * 3
