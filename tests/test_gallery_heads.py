"""Contents and styles on the page: as large as the pictures that they are compared with, and loaded when they are."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from browser import CHROMIUM, opened
from PIL import Image
from sweeps import plan, run

from nst.config import METHOD_CONFIGS
from tasks.fsck.orphans import find_orphans, store_time
from tasks.pages.export import export_sweep
from tasks.pages.large_heads import MOST_PX, largest_of_plan
from tasks.pages.report import report
from tasks.planning.registration import register_sweep


@pytest.fixture
def tab(tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    pytest.importorskip("websockets.sync.client")
    (tmp_path / "profile").mkdir()
    with opened(tmp_path / "index.html", tmp_path / "profile") as found:
        yield found
        assert found.faults == []


def test_a_large_picture_is_compared_with_a_content_as_large(tab, tmp_path):
    """Of a photograph of 1800 pixels, the page carries 640; beside a picture of 1200 pixels it has 1200, too."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (90, 180, 3), np.uint8)).resize((1800, 900)).save(tmp_path / "wide.png")
    Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(tmp_path / "waves.png")
    prepared = plan(
        tmp_path,
        "name: large\ncontents: wide.png\nstyles: waves.png\nmethod: {name: baseline, kind: noise, size: 1200}\n",
    )
    register_sweep(prepared)
    (row,) = run(prepared)
    page = Path(report(prepared).uri.removeprefix("file://"))
    (large,) = (page.parent / "inputs").iterdir()
    with Image.open(large) as image:
        assert image.size == (1200, 600)
        exact = np.array(Image.open(tmp_path / "wide.png").resize((1200, 600), Image.Resampling.LANCZOS)).astype(int)
        assert np.abs(np.array(image).astype(int) - exact).mean() < 4
    assert len(page.read_text()) < 300_000, "the page itself does not carry it"
    tab.call("Page.navigate", url=page.as_uri())
    tab.until("document.querySelector('.cell img')?.naturalWidth > 0")
    assert not any("/inputs/" in address for address in tab.requests[-20:]), "nobody has asked for it"
    tab.js("document.querySelector('.cell').click()")
    for mode in ("side", "slider", "difference"):
        tab.js(f"state.mode = '{mode}'; renderBox()")
        tab.until("document.querySelector('#stage .second').naturalWidth === 1200")
        assert tab.js("document.querySelector('#stage .own').naturalWidth") == row["picture_width"] == 1200
    export_sweep(prepared.root.catalog, prepared.plan.sweep_id, tmp_path / "exported", page=True)
    assert (tmp_path / "exported" / "inputs" / large.name).read_bytes() == large.read_bytes()
    data = json.loads((tmp_path / "exported" / "index.html").read_text().partition('id="data">')[2].partition("<")[0])
    assert data["large"] == {"content": {"wide": f"inputs/{large.name}"}, "style": {}}, "the style is small itself"


def test_the_large_ones_are_written_once(tmp_path, monkeypatch):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)).save(tmp_path / "wide.png")
    prepared = plan(
        tmp_path, "name: l\ncontents: wide.png\nstyles: wide.png\nmethod: {name: baseline, kind: content, size: 800}\n"
    )
    register_sweep(prepared)
    run(prepared)
    report(prepared)
    written = []
    put = type(prepared.root.store).put
    monkeypatch.setattr(
        type(prepared.root.store),
        "put",
        lambda self, key, data, **k: (written.append(key), put(self, key, data, **k))[1],
    )
    report(prepared)
    assert find_orphans(prepared.root, store_time(prepared.root.store), grace=-2) == ()
    assert written
    assert not [key for key in written if "/inputs/" in key]


@pytest.mark.parametrize("name", METHOD_CONFIGS)
def test_the_longest_side_is_known_of_every_method(name):
    required = {"invert": {"layer": "relu2_1"}, "dream": {"layer": "relu2_1"}, "feedforward": {"model": "0" * 64}}
    required |= {"class_visualisation": {"classes": "7"}, "baseline": {"kind": "noise"}}
    fields = METHOD_CONFIGS[name].model_fields
    given = {key: value for key, value in required.get(name, {}).items() if key in fields}
    config = METHOD_CONFIGS[name](**given)
    cells = SimpleNamespace(structure_config=lambda _: config, variants=SimpleNamespace(first=[0]))
    assert 0 < largest_of_plan(cells) <= MOST_PX
