"""A page that is left open: it shows runs that begin later, and of several sweeps what their runs do at the moment."""

from __future__ import annotations

import json
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import warm
from browser import CHROMIUM, opened
from orders import planned
from sweeps import write_pictures

from tasks.heartbeat import beating
from tasks.layout import page_folder
from tasks.maintenance import publish_all
from tasks.pages.live import LivePage
from tasks.pages.report import report
from tasks.planning.registration import register_sweep
from tasks.work.stylize import Stylist

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

MANIFEST = """
name: {name}
contents: [cat.png, dog.png]
styles: waves.png
method: {{name: baseline, size: 32}}
sweep: {{kind: [{kinds}]}}
batch_size: 1
"""
NEWS = "document.querySelector('#news').textContent"
PICTURES = "[...document.querySelectorAll('.cell img')].filter((image) => image.naturalWidth > 0).length"


def submitted(folder, name, kinds, *, done):
    """Submit a sweep and make its first cells."""
    (folder / "m.yaml").write_text(MANIFEST.format(name=name, kinds=kinds))
    prepared = planned(folder / "m.yaml", folder / "out")
    register_sweep(prepared)
    for job in jobs_of(prepared)[:done]:
        Stylist(prepared.root, "cpu").run(job)
    publish_all(prepared.root.catalog)
    return planned(folder / "m.yaml", folder / "out")


def jobs_of(prepared):
    return [prepared.job(batch) for batch in prepared.plan.batches()]


def page_of(prepared):
    return Path(prepared.root.uri.removeprefix("file://")) / page_folder(prepared.plan.name, prepared.plan.sweep_id)


def wait_for(condition):
    deadline = time.monotonic() + warm.DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def serving(root):
    """Serve the pages of a root, which is looked at all the time, and give the address."""
    often = {"flows.command.gallery._EVERY_S": 0.1, "flows.command.gallery._SHARE": 100.0}
    process = warm.start("gallery", "--serve", "--root", str(root), changed=often)
    try:
        wait_for(lambda: process.said[0].count("\n") >= 2 or process.poll() is not None)
        yield process.said[0].splitlines()[1].partition("  ")[0]
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.ended()
    assert ended.returncode == 0


@contextmanager
def running(prepared):
    """Stand in for a run of the sweep that has handed out its first batch."""
    with beating(prepared.root.store, prepared.plan.sweep_id), LivePage(prepared, every=0.05) as page:
        job, *_ = jobs_of(prepared)
        page.begun([job])
        page.step(job.key, 3, 7)
        yield page, job


@pytest.mark.parametrize("opening", ["while a run goes on", "after its end"])
def test_a_page_of_an_unfinished_sweep_shows_the_run_that_begins_later(tmp_path, opening):
    pytest.importorskip("websockets.sync.client")
    prepared = submitted(write_pictures(tmp_path), "one", "content, noise", done=1)
    with opened(page_of(prepared) / "index.html", tmp_path / "profile") as tab:
        with running(prepared):
            wait_for(tab.page.exists)
            if opening == "while a run goes on":
                tab.open(anew=True)
                tab.until(f"{NEWS} === 'running'")
        report(prepared)
        if opening == "after its end":
            tab.open(anew=True)
        tab.until(f"{NEWS}.startsWith('The run has ended. Not finished: 3 cells are to do.')")
        with running(prepared) as (page, job):
            tab.until("document.querySelector('.cell .running')?.textContent === 'step 3 of 7'")
            page.ended(Stylist(prepared.root, "cpu").run(job))
            tab.until(f"{PICTURES} === 2")
            assert tab.js(NEWS) == "running"
        assert tab.faults == []


def test_the_page_of_a_finished_sweep_reads_no_news(tmp_path):
    prepared = submitted(write_pictures(tmp_path), "one", "content", done=2)
    (page_of(prepared)).mkdir(parents=True)
    (page_of(prepared) / "live.js").write_text('nstLive({"run": "r", "at": 1.5, "ended": true},[],[])\n')
    report(prepared)
    text = (page_of(prepared) / "index.html").read_text()
    assert json.loads(text.partition('id="data">')[2].partition("</script>")[0])["run"] == ""
    assert "strict-dynamic" not in text


def test_a_served_page_of_several_sweeps_shows_what_their_runs_do_at_the_moment(tmp_path):
    """No row of the catalog is published while the runs go on, and the page is not loaded anew."""
    pytest.importorskip("websockets.sync.client")
    one = submitted(write_pictures(tmp_path), "one", "content, noise", done=1)
    two = submitted(tmp_path, "two", "style, blur", done=0)
    with (
        running(one) as (page, job),
        running(two),
        serving(tmp_path / "out") as link,
        opened(Path("unused"), tmp_path / "profile") as tab,
    ):
        tab.call("Page.navigate", url=link)
        tab.until(
            "[...document.querySelectorAll('.cell .running')].map((cell) => cell.textContent).join()"
            " === 'step 3 of 7,step 3 of 7'"
        )
        assert tab.js(NEWS) == "running"
        tab.js("window.same = true")
        page.ended(Stylist(one.root, "cpu").run(job))
        tab.until(f"{PICTURES} === 2")
        assert tab.js("window.same"), "the page was loaded anew"
        page.__exit__()
        tab.until("[...live.heads.values()].some((head) => head.ended)")
        assert tab.js(NEWS) == "running", "the other one goes on"
        assert tab.faults == []
