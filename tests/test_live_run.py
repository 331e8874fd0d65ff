"""A browser that has the page of a real run open: pictures come, Control-C ends it, and the page says what is left."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from browser import CHROMIUM, opened
from orders import planned
from sweeps import TINY, plan, run, write_pictures

from flows.engine import InlineEngine
from flows.order.sweep import SweepOrder
from tasks.planning.registration import register_sweep

MANIFEST = """
name: watched
contents: [cat.png, dog.png]
styles: waves.png
method: {name: gatys, size: 48, steps: 150, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
sweep: {style_weight: [1, 2, 3, 4, 5, 6]}
batch_size: 1
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_real_run_is_watched_and_stopped(tmp_path):
    pytest.importorskip("websockets.sync.client")
    (write_pictures(tmp_path) / "w.yaml").write_text(MANIFEST)
    command = [sys.executable, "-m", "flows", "run", "w.yaml", "--inline"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        line = next(line for line in process.stderr if line.startswith("pictures appear on "))
        page = Path(re.search(r"file://(\S+)", line)[1])
        deadline = time.monotonic() + 120
        while not page.exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with opened(page, tmp_path / "profile") as tab:
            tab.open(anew=True)
            done = "[...document.querySelectorAll('.cell img')].some((image) => !image.src.includes('/previews/'))"
            tab.until(done, seconds=180)
            step = "document.querySelector('.cell :is(.running, .step)')"
            tab.until(f"/^step [0-9]+ of 150$/.test({step}?.textContent)", seconds=60)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=180)
            assert process.returncode == 130
            tab.until("document.querySelector('#news').textContent.startsWith('The run has ended.')", seconds=60)
            counts = (
                "[...document.querySelectorAll('.chip')].map((chip) => chip.textContent.split(' ').slice(1).join())"
            )
            assert tab.js(counts)[-1] == "to,do"
            assert tab.js(step) is None
            tab.open(anew=True)
            made = tab.js("document.querySelectorAll('.cell img').length")
            assert 0 < made < 12
            assert tab.js("document.querySelectorAll('.cell .todo').length") == 12 - made
            assert tab.js("document.querySelector('#progress').hidden")
            assert tab.faults == []
            assert all(address.startswith(("file:", "data:", "about:")) for address in tab.requests)


def test_a_sweep_whose_cells_are_all_known_has_its_page(tmp_path):
    manifest = f"""
name: known
contents: cat.png
styles: waves.png
method: {{name: gatys, {TINY}}}
"""
    prepared = plan(write_pictures(tmp_path), manifest)
    register_sweep(prepared)
    run(prepared)
    order = SweepOrder(planned(tmp_path / "m.yaml", tmp_path / "out"), ("cpu",))
    assert order.to_do == 0
    page = Path(order.page.removeprefix("file://"))
    assert not page.exists()
    summary = order.run(InlineEngine(1), None)
    assert summary.gallery == order.page
    assert page.exists()
    assert (page.parent / "contact_sheet.jpg").exists()
    page.write_text("of an earlier version, or from before another sweep did the rest")
    order.run(InlineEngine(1), None)
    assert page.read_text().startswith("<!doctype html>")
