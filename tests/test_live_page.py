"""The page of a sweep while it runs: what its process writes, and what a browser that has it open shows."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import CHROMIUM, opened
from sweeps import TINY, plan, rows, run, write_pictures

from nst.errors import StorageError
from tasks.jobs import BatchOutcome, Failure
from tasks.layout import page_folder
from tasks.pages.live import LivePage
from tasks.pages.news import news
from tasks.pages.report import report
from tasks.pages.serving import PageServer
from tasks.planning.registration import register_sweep
from tasks.work.stylize import Stylist

MANIFEST = """
name: lively
contents: [cat.png, dog.png]
styles: waves.png
method: {name: baseline, size: 32}
sweep: {kind: [content, noise]}
batch_size: 1
"""


@pytest.fixture
def prepared(tmp_path):
    found = plan(write_pictures(tmp_path), MANIFEST)
    register_sweep(found)
    found.root.catalog.publish("sweeps")
    return found


def folder_of(prepared):
    root = Path(prepared.root.uri.removeprefix("file://"))
    return root / page_folder(prepared.plan.name, prepared.plan.sweep_id)


def data_of(prepared):
    page = (folder_of(prepared) / "index.html").read_text()
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def news_of(prepared):
    """Return the three arguments of the script that an open page reads: head, running, cells."""
    text = (folder_of(prepared) / "live.js").read_text()
    return json.loads(text.removeprefix("nstLive(").rstrip().removesuffix(")").join("[]"))


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def live(prepared):
    with LivePage(prepared, every=0.05) as page:
        wait_for((folder_of(prepared) / "index.html").exists)
        yield page


def test_the_page_is_there_before_the_first_picture_and_knows_the_settings_of_all_cells(prepared):
    with live(prepared):
        data = data_of(prepared)
    assert data["errors"] == ["", "", "", ""]
    axes = {axis["key"]: axis["values"] for axis in data["axes"]}
    assert axes == {"content": ["cat", "dog"], "kind": ["content", "noise"]}
    assert data["run"] == news_of(prepared)[0]["run"]


def test_each_batch_is_told_with_its_steps_its_picture_and_its_numbers(prepared):
    jobs = [prepared.job(batch) for batch in prepared.plan.batches()]
    stylist = Stylist(prepared.root, "cpu")
    with live(prepared) as page:
        page.begun(jobs)
        (first,) = [cell.cell_id for cell in jobs[0].batch.cells]
        page.step(jobs[0].key, 3, 7)
        page.step("of another sweep", 1, 2)
        wait_for(lambda: news_of(prepared)[1] == [[first, 3, 7, []]])
        outcome = stylist.run(jobs[0])
        page.ended(outcome)
        page.ended(outcome)
        page.ended(BatchOutcome(jobs[1].key, (), (Failure("lost", "WorkerLost", "a worker died"),)))
        wait_for(lambda: len(news_of(prepared)[2]) == 2)
        head, running, (made, lost) = news_of(prepared)
    assert (head["ended"], running) == (False, [])
    (row,) = outcome.rows
    assert made["id"] == first
    assert (folder_of(prepared) / made["picture"]).is_file()
    assert (folder_of(prepared) / made["thumb"]).is_file()
    assert made["shape"] == f"{row['picture_width']} / {row['picture_height']}"
    assert made["numbers"]["ssim_content"] == pytest.approx(row["ssim_content"], rel=1e-5)
    assert lost == {"id": "lost", "error": "WorkerLost: a worker died"}
    assert (folder_of(prepared) / "contact_sheet.jpg").is_file()
    assert news_of(prepared)[0]["ended"], "whoever has the page open learns of the end"


def test_a_browser_that_has_asked_for_the_size_of_the_news_gets_no_half_of_the_next_ones():
    cells = [", ".join(['{"id": "é"}'] * count) for count in range(3000)]
    sizes = [len(news("run", cells=each).encode()) for each in cells]
    assert set(sizes) == {1 << 14, 1 << 15, 1 << 16}
    assert sizes == sorted(sizes)
    assert len(news("run", cells="x" * ((1 << 14) - len(news("run").rstrip()) - 1))) == 1 << 14
    assert len(news("run", cells="x" * ((1 << 14) - len(news("run").rstrip())))) == 1 << 15


def test_the_page_at_the_end_needs_no_news_and_keeps_the_settings_of_what_is_not_done(prepared):
    stylist = Stylist(prepared.root, "cpu")
    first, *_ = prepared.plan.batches()
    stylist.run(prepared.job(first))
    report(prepared)
    data = data_of(prepared)
    assert data["run"] == ""
    assert data["errors"] == [None, "", "", ""]
    assert data["known"] == [True] * 4


def test_a_page_that_cannot_be_written_harms_nothing(prepared, monkeypatch, caplog):
    def refuse(*_, **__):
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(prepared.root.store), "put", refuse)
    with LivePage(prepared, every=0.01) as page:
        page.begun([])
        wait_for(lambda: caplog.records)
        time.sleep(0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "the page of the sweep is not up to date: the disk is full"
    ]


def test_losses_along_the_steps_lie_beside_the_page(tmp_path):
    manifest = f"""
name: steps
contents: cat.png
styles: waves.png
method: {{name: gatys, {TINY}}}
sweep: {{style_weight: [1, 10]}}
"""
    prepared = plan(write_pictures(tmp_path), manifest)
    register_sweep(prepared)
    run(prepared)
    report(prepared)
    text = (folder_of(prepared) / "traces.js").read_text()
    found = json.loads(text.removeprefix("nstTraces(").removesuffix(")\n"))
    assert data_of(prepared)["traces"] is True
    for row in rows(prepared, "traces"):
        steps, losses = found[row["cell_id"]]
        assert losses[steps.index(row["step"])] == pytest.approx(row["loss"], rel=1e-4)
    if CHROMIUM is None:
        return
    pytest.importorskip("websockets.sync.client")
    with opened(folder_of(prepared) / "index.html", tmp_path / "profile") as tab:
        tab.open("view=steps", anew=True)
        tab.until("document.querySelectorAll('polyline.trace').length === 2")
        tab.js("document.querySelector('polyline.trace').dispatchEvent(new MouseEvent('click'))")
        assert tab.js("document.querySelector('#box').open")
        assert tab.faults == []


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("place", ["file", "server"])
def test_a_browser_that_has_the_page_open_sees_pictures_come(prepared, tmp_path, place):
    pytest.importorskip("websockets.sync.client")
    home = f"{page_folder(prepared.plan.name, prepared.plan.sweep_id)}/index.html"
    jobs = [prepared.job(batch) for batch in prepared.plan.batches()]
    stylist = Stylist(prepared.root, "cpu")
    chips = "[...document.querySelectorAll('.chip')].map((chip) => chip.textContent)"
    ids = [cell.cell_id for job in jobs for cell in job.batch.cells]
    with (
        live(prepared) as page,
        PageServer(prepared.root.store, home) as server,
        opened(folder_of(prepared) / "index.html", tmp_path / "profile") as tab,
    ):
        if place == "server":
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
            tab.call("Page.navigate", url=server.address)
            tab.until("document.querySelector('.chip') !== null")
        else:
            tab.open(anew=True)
        assert tab.js(chips) == ["0 pictures", "4 to do"]
        page.begun(jobs)
        page.step(jobs[0].key, 3, 7)
        tab.until("document.querySelector('.cell .running')?.textContent === 'step 3 of 7'")
        page.ended(BatchOutcome(jobs[1].key, (), (Failure(ids[1], "NumericalError", "<img src=x>"),)))
        page.ended(stylist.run(jobs[0]))
        tab.until(f"document.querySelector('[data-cell=\"{ids[0]}\"] img')?.naturalWidth > 0")
        assert tab.js(chips) == ["1 picture", "1 failed", "2 to do"]
        failed = tab.js(f"document.querySelector('[data-cell=\"{ids[1]}\"]').textContent")
        assert failed.startswith("failed: NumericalError: <img src=x>")
        assert tab.js("[...document.querySelector('#sort').options].some((o) => o.value === 'ssim_content')")
        tab.js(f"document.querySelector('[data-cell=\"{ids[2]}\"]').click()")
        page.ended(stylist.run(jobs[2]))
        tab.until("document.querySelector('#stage img.own')?.naturalWidth > 0")
        assert "ssim_content" in tab.js("document.querySelector('#facts').textContent")
        page.__exit__()
        tab.until("document.querySelector('#news').textContent.startsWith('The run has ended. Not finished: 1 cell')")
        assert tab.faults == []
        assert all(address.startswith(("file:", "data:", "about:", server.address)) for address in tab.requests)
        tab.call("Page.navigate", url="about:blank")
        if place == "server":
            server.shutdown()
