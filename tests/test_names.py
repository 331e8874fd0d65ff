"""Equal bytes under two names are computed once, and each name has its row, its file and its place on the page."""

from __future__ import annotations

import json
import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from flows.engine import InlineEngine
from flows.order.request import Request, order_of
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.inputs.manifest_source import read_manifest
from tasks.pages.export import export_sweep
from tasks.planning.registration import register_sweep
from tasks.planning.sweep import prepare_sweep
from tasks.root import open_root
from tasks.status import sweep_statuses
from tasks.work.workers import DevicePool

MANIFEST = """\
name: twins
contents: [{contents}]
styles: s.png
method: {{name: gatys, size: 24, steps: 1, content_layers: [relu1_1], style_layers: [relu1_1], \
backbone: {{weights: random}}}}
"""


def noise(seed):
    return encode(np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8), OutputFormat(), {})


@pytest.fixture
def folder(tmp_path):
    for name, seed in (("a", 0), ("b", 1), ("c", 1), ("s", 2)):
        (tmp_path / f"{name}.png").write_bytes(noise(seed))
    return tmp_path


def prepared(folder, *contents):
    (folder / "m.yaml").write_text(MANIFEST.format(contents=", ".join(f"{name}.png" for name in contents)))
    return prepare_sweep(read_manifest(str(folder / "m.yaml")), open_root(str(folder / "out")))


def named(root, **columns):
    rows = root.catalog.read("sweeps").to_pandas()
    for column, value in columns.items():
        rows = rows[rows[column] == value]
    return list(rows.sort_values("position")[["position", "content_name"]].itertuples(index=False, name=None))


@pytest.mark.slow
def test_two_names_of_equal_bytes_are_one_cell_two_files_and_two_places(folder):
    (folder / "m.yaml").write_text(MANIFEST.format(contents="b.png, a.png, c.png"))
    root = open_root(str(folder / "out"))
    order = order_of(Request(root=root, manifest=str(folder / "m.yaml"), inputs="", devices=("cpu",), confirmed=True))
    summary = order.run(InlineEngine(1), DevicePool(root, ["cpu"]))
    assert (summary.done, summary.failed) == (2, 0)
    results = root.catalog.read("results").to_pandas()
    assert sorted(results.content_name) == ["a", "b"]
    assert named(root) == [(0, "b"), (1, "a"), (2, "c")]
    (status,) = sweep_statuses(root)
    assert (status.total, status.done, status.to_do) == (2, 2, 0)

    assert export_sweep(root.catalog, order.prepared.plan.sweep_id, folder / "files").pictures == 3
    files = {path.name: path.read_bytes() for path in (folder / "files").glob("*.png")}
    assert sorted(files) == ["a__s.png", "b__s.png", "c__s.png"]
    pictures = {name: Image.open(BytesIO(data)).tobytes() for name, data in files.items()}
    assert pictures["b__s.png"] == pictures["c__s.png"] != pictures["a__s.png"]
    assert sorted(pd.read_csv(folder / "files/catalog.csv").content_name) == ["a", "b", "c"]

    (page,) = folder.glob("out/gallery/*/index.html")
    data = json.loads(re.search(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page.read_text(), re.DOTALL)[1])
    (axis,) = [axis for axis in data["axes"] if axis["key"] == "content"]
    assert [axis["values"][index] for index in axis["index"]] == ["b", "a", "c"]
    assert len(set(data["keys"])) == 3
    assert data["ids"][0] == data["ids"][2] != data["ids"][1]
    assert data["thumbs"][0] == data["thumbs"][2] is not None

    # A later sweep computes nothing, and its page has its own names.
    (folder / "c.png").rename(folder / "d.png")
    (folder / "m.yaml").write_text(MANIFEST.replace("twins", "later").format(contents="d.png"))
    order = order_of(Request(root=root, manifest=str(folder / "m.yaml"), inputs="", devices=("cpu",), confirmed=True))
    summary = order.run(InlineEngine(1), DevicePool(root, ["cpu"]))
    assert (summary.done_before, summary.done) == (1, 0)
    (page,) = folder.glob("out/gallery/later-*/index.html")
    assert '"content": "d"' in page.read_text() or '"content":"d"' in page.read_text()


def test_a_file_that_got_another_name_is_on_record_under_both_names(folder):
    first = prepared(folder, "b")
    register_sweep(first)
    register_sweep(first)
    assert named(first.root) == [(0, "b")]
    (folder / "b.png").rename(folder / "d.png")
    later = prepared(folder, "d")
    assert later.plan.sweep_id == first.plan.sweep_id
    register_sweep(later)
    register_sweep(later)
    assert named(later.root) == [(0, "b"), (1, "d")]
    later.root.catalog.publish("sweeps")
    register_sweep(prepared(folder, "d", "c"))
    assert named(later.root) == [(0, "b"), (1, "d"), (2, "c")]


def test_a_registration_that_was_cut_short_is_completed(folder, monkeypatch):
    sweep = prepared(folder, "b", "c")
    commit = sweep.root.catalog.commit

    def cut(table, group, record, rows, **more):
        if record.startswith("names-"):
            raise KeyboardInterrupt
        return commit(table, group, record, rows, **more)

    monkeypatch.setattr(sweep.root.catalog, "commit", cut)
    with pytest.raises(KeyboardInterrupt):
        register_sweep(sweep)
    monkeypatch.undo()
    register_sweep(sweep)
    assert named(sweep.root) == [(0, "b"), (1, "c")]


def test_names_of_another_sweep_with_the_same_cells_are_its_own(folder):
    register_sweep(prepared(folder, "b"))
    (folder / "m.yaml").write_text(MANIFEST.replace("twins", "later").format(contents="c.png"))
    later = prepare_sweep(read_manifest(str(folder / "m.yaml")), open_root(str(folder / "out")))
    register_sweep(later)
    assert named(later.root, sweep_name="twins") == [(0, "b")]
    assert named(later.root, sweep_name="later") == [(0, "c")]
