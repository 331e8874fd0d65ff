"""The page in a real browser: one slider of steps for all pictures, running ones too, and inputs at their full size."""

from __future__ import annotations

import re
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import CHROMIUM, opened
from sweeps import plan, rows, run, write_pictures

from tasks.layout import page_folder, preview_key, thumbnail_key
from tasks.pages.export import export_sweep
from tasks.pages.live import LivePage
from tasks.pages.report import report
from tasks.pages.serving import PageServer
from tasks.planning.registration import register_sweep
from tasks.work.stylize import Stylist

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

MANIFEST = """
name: steps
contents: [cat.png, dog.png]
styles: waves.png
methods:
  - {name: gatys, size: 40, steps: 9, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
  - {name: baseline, kind: content, size: 40}
sweep: {steps: [9, 30]}
preview_every: 6
"""
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


class Made:
    """A sweep that was run, its page, and the same page in an exported folder."""

    def __init__(self, folder):
        self.prepared = plan(write_pictures(folder), MANIFEST)
        register_sweep(self.prepared)
        run(self.prepared)
        report(self.prepared)
        plan_ = self.prepared.plan
        self.home = f"{page_folder(plan_.name, plan_.sweep_id)}/index.html"
        self.page = Path(self.prepared.root.uri.removeprefix("file://")) / self.home
        export_sweep(self.prepared.root.catalog, plan_.sweep_id, folder / "exported", page=True)
        self.exported = folder / "exported" / "index.html"
        self.rows = {row["cell_id"]: row for row in rows(self.prepared, "results")}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pytest.importorskip("websockets.sync.client")
    return Made(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def tab(made, tmp_path_factory):
    with opened(made.page, tmp_path_factory.mktemp("profile")) as found:
        yield found


@pytest.fixture(autouse=True)
def _no_faults(tab):
    tab.faults.clear()
    yield
    tab.call("Emulation.clearDeviceMetricsOverride")
    assert tab.faults == []
    assert all(address.startswith(("file:", "data:", "about:", "http://127.0.0.1")) for address in tab.requests)


def shown(tab):
    """Return, by the id of a cell, the address of its picture below the page's root, and what is said of it."""
    found = tab.js(
        "[...document.querySelectorAll('.cell')].map((cell) => [cell.dataset.cell,"
        " cell.querySelector('img')?.getAttribute('src'), cell.querySelector('.step')?.textContent ?? ''])"
    )
    return {cell_id: (re.sub(r"^(\.\./)*", "", source), label) for cell_id, source, label in found}


def said(tab, place="#steps"):
    return tab.js(f"document.querySelector('{place} output').textContent")


def go(tab, value, place="#steps"):
    tab.type(f"{place} input", str(value))


def expected(row, step):
    """Return what a cell shows after so many steps: its last preview up to there, or its picture if it was finished."""
    if row["method"] == "baseline" or row["steps_done"] <= step:
        return thumbnail_key(row["picture_digest"]), "final"
    last = step // 6 * 6
    return preview_key(row["cell_id"], last), f"step {last}"


def test_one_slider_shows_every_picture_as_it_was_after_a_step(tab, made):
    tab.open("size=100", anew=True)  # small ones are shown by their thumbnails
    assert said(tab) == "final pictures"
    assert tab.js("[...document.querySelectorAll('#steps input')].map((i) => [i.max, i.value])") == [["4", "4"]]
    finals = {cell_id: (thumbnail_key(row["picture_digest"]), "") for cell_id, row in made.rows.items()}
    assert shown(tab) == finals
    for place, step in enumerate((6, 12, 18, 24)):
        go(tab, place)
        assert said(tab) == f"step {step}"
        assert shown(tab) == {cell_id: expected(row, step) for cell_id, row in made.rows.items()}
        assert f"step={step}" in tab.js("location.hash"), "the address leads back to it"
        tab.until("[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth > 0)")
    go(tab, 4)
    assert shown(tab) == finals
    assert "step=" not in tab.js("location.hash")


def test_the_address_leads_to_a_step_and_keys_go_along_the_steps(tab, made):
    tab.open("step=12&view=list&size=100", anew=True)
    assert shown(tab) == {cell_id: expected(row, 12) for cell_id, row in made.rows.items()}
    for key, step in ((",", 6), (",", 6), (".", 12), (".", 18)):
        tab.key(key)
        assert said(tab) == f"step {step}"
    tab.key(".")
    tab.key(".")
    assert said(tab) == "final pictures"
    tab.js("document.querySelector('#steps input').focus()")
    tab.key("ArrowLeft", 37)
    assert said(tab) == "step 24", "the slider has the keys that sliders have"
    assert tab.js("document.querySelector('#steps input').getAttribute('aria-valuetext')") == "step 24"


@pytest.mark.parametrize("mode", ["one", "side", "slider", "difference"])
def test_the_box_follows_the_slider_in_every_mode(tab, made, mode):
    long = [row for row in made.rows.values() if row["steps_done"] == 30]
    cell, other = long[0]["cell_id"], long[1]["cell_id"]
    tab.open(f"cell={cell}&mode={mode}&against=pin&pin={other}", anew=True)
    assert tab.js("document.querySelectorAll('#stage .at').length") == 0
    go(tab, 1, "#stage .stepper")
    assert said(tab, "#stage .stepper") == "step 12"
    own = "document.querySelector('#stage .own')"
    assert tab.js(f"{own}.getAttribute('src')").endswith(preview_key(cell, 12))
    tab.until(f"{own}.complete && {own}.naturalWidth === 40")
    if mode != "one":
        assert tab.js("document.querySelector('#stage .second').getAttribute('src')").endswith(preview_key(other, 12))
    labels = tab.js("[...document.querySelectorAll('#stage :is(.at, figcaption)')].map((label) => label.textContent)")
    assert len(labels) == (2 if mode == "side" else 1)
    assert all(label.endswith("preview after step 12") for label in labels)
    go(tab, 4, "#stage .stepper")
    assert tab.js(f"{own}.getAttribute('src')").endswith(made.rows[cell]["picture_digest"] + ".png")
    assert "step" not in tab.js("document.querySelector('#stage .show').textContent").replace("steps=30", "")


def test_it_fits_a_phone(tab, made):
    tab.call("Emulation.setDeviceMetricsOverride", **PHONE)
    tab.open("step=12", anew=True)
    assert tab.js("document.documentElement.scrollWidth") <= PHONE["width"]
    assert tab.js("document.querySelector('#steps input').offsetWidth") >= 80
    tab.js("document.querySelector('.cell').click()")
    assert tab.js("document.documentElement.scrollWidth") <= PHONE["width"]
    stage, stepper = (
        tab.js(f"document.querySelector('{node}').getBoundingClientRect().bottom")
        for node in ("#stage", "#stage .stepper")
    )
    assert stepper <= stage


@pytest.mark.parametrize("place", ["server", "export"])
def test_it_works_from_a_server_and_in_an_exported_folder(tab, made, place):
    with PageServer(made.prepared.root.store, made.home) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = server.address if place == "server" else made.exported.as_uri()
        tab.leave()
        tab.call("Page.navigate", url=f"{address}/{made.home}#step=12" if place == "server" else f"{address}#step=12")
        tab.until(
            "document.querySelectorAll('.cell img').length > 0 && said()".replace("said()", "stopsOfAll().length")
        )
        labels = sorted(label for _, label in shown(tab).values())
        assert labels == sorted(expected(row, 12)[1] for row in made.rows.values())
        tab.until("[...document.querySelectorAll('.cell img')].every((image) => image.naturalWidth > 0)")
        tab.call("Page.navigate", url="about:blank")
        server.shutdown()


def test_a_page_without_previews_has_no_slider(tab, tmp_path):
    prepared = plan(write_pictures(tmp_path), MANIFEST.replace("preview_every: 6", "preview_every: 0"))
    register_sweep(prepared)
    run(prepared)
    page = report(prepared).uri
    tab.call("Page.navigate", url=page)
    tab.until("document.querySelectorAll('.cell img').length > 0")
    assert tab.js("document.querySelector('#steps').offsetHeight") == 0
    tab.key(",")
    assert tab.js("location.hash") == ""


# ---- while a sweep runs -----------------------------------------------------------------------------------------
@contextmanager
def live(prepared):
    with LivePage(prepared, every=0.05) as page:
        folder = Path(prepared.root.uri.removeprefix("file://"))
        page_file = folder / page_folder(prepared.plan.name, prepared.plan.sweep_id) / "index.html"
        while not page_file.exists():
            threading.Event().wait(0.02)
        yield page, page_file


def test_a_cell_that_is_made_shows_its_latest_preview_with_its_step(tab, tmp_path):
    manifest = MANIFEST.replace("steps: [9, 30]", "steps: [30]") + "batch_size: 1\n"
    prepared = plan(write_pictures(tmp_path), manifest)
    register_sweep(prepared)
    prepared.root.catalog.publish("sweeps")
    job = next(job for job in map(prepared.job, prepared.plan.batches()) if job.batch.cells[0].config.name == "gatys")
    cell_id = job.batch.cells[0].cell_id
    reached = {step: threading.Event() for step in (14, 20)}
    seen = {step: threading.Event() for step in (14, 20)}
    stylist = Stylist(prepared.root, "cpu")
    cell = f"document.querySelector('[data-cell=\"{cell_id}\"]')"
    with live(prepared) as (page, file):

        def report_step(step, steps):
            page.step(job.key, step, steps)
            if step in reached:
                reached[step].set()
                assert seen[step].wait(60)

        outcome = []
        page.begun([job])
        work = lambda: outcome.append(stylist.commit(stylist.compute(job, report_step, page.previewed)))  # noqa: E731
        thread = threading.Thread(target=work)
        tab.call("Page.navigate", url=f"{file.as_uri()}#size=100")
        tab.until(f"{cell}?.textContent.includes('to do')")
        thread.start()
        try:
            for step, last in ((14, 12), (20, 18)):
                assert reached[step].wait(60)
                tab.until(f"{cell}.querySelector('.step')?.textContent === 'step {last} of 30'")
                assert tab.js(f"{cell}.querySelector('img').getAttribute('src')").endswith(preview_key(cell_id, last))
                if step == 14:
                    tab.js(f"{cell}.click()")
                tab.until(f"document.querySelector('#stage .at')?.textContent === 'preview after step {last} of 30'")
                seen[step].set()
        finally:
            for event in seen.values():
                event.set()
            thread.join()
        page.ended(outcome[0])
        tab.until(f"{cell}.querySelector('img')?.getAttribute('src').includes('thumbs/')")
        assert tab.js(f"{cell}.querySelector('.step')") is None
        tab.until("document.querySelectorAll('#stage .at').length === 0")
        go(tab, 0)
        assert tab.js(f"{cell}.querySelector('img').getAttribute('src')").endswith(preview_key(cell_id, 6))
        page.__exit__()
        tab.call("Page.navigate", url="about:blank")


def test_a_preview_that_is_missing_gives_way_to_the_one_before_it_or_to_the_picture(tab, made, tmp_path):
    shutil.copytree(made.exported.parent, tmp_path / "copy")
    long = [cell_id for cell_id, row in made.rows.items() if row["steps_done"] == 30]
    for cell_id, lost in zip(long, ([12], [6, 12, 18, 24]), strict=True):
        for step in lost:
            (tmp_path / "copy" / preview_key(cell_id, step)).unlink()
    tab.call("Page.navigate", url=f"{(tmp_path / 'copy' / 'index.html').as_uri()}#step=12&size=100")
    label = "document.querySelector('[data-cell=\"{}\"] .step')?.textContent === '{}'"
    tab.until(label.format(long[0], "step 6"))
    tab.until(label.format(long[1], "final"))
    tab.js(f"document.querySelector('[data-cell=\"{long[0]}\"]').click()")
    tab.until("document.querySelector('#stage .at')?.textContent === 'preview after step 6'")
    missing = [fault for fault in tab.faults if "ERR_FILE_NOT_FOUND" in str(fault)]
    assert tab.faults == missing, "the browser itself says so of each file, once"
    assert len(missing) == 5
    tab.faults.clear()
