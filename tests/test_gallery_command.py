"""`nst gallery`: the page of one sweep, of several, of those that are odd; and served live, also out of a bucket."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import warm
from browser import CHROMIUM, opened
from cells import blocks
from orders import planned
from sweeps import write, write_pictures
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import InputError, UserError
from tasks.fsck.check import fsck
from tasks.jobs import Failure
from tasks.maintenance import publish_all
from tasks.pages.live import LivePage
from tasks.planning.registration import register_sweep
from tasks.root import open_root
from tasks.work.rows import failure_row
from tasks.work.stylize import Stylist

MANIFEST = """
name: {name}
contents: [{contents}]
styles: waves.png
method: {{name: baseline, size: 32}}
sweep: {{kind: [{kinds}]}}
batch_size: 1
"""


def submitted(folder, name="one", kinds="content, noise", *, contents="cat.png", root=None, cells=99):
    """Submit a sweep and make its first cells."""
    (folder / "m.yaml").write_text(MANIFEST.format(name=name, kinds=kinds, contents=contents))
    prepared = planned(folder / "m.yaml", root or folder / "out")
    register_sweep(prepared)
    stylist = Stylist(prepared.root, "cpu")
    for batch in list(prepared.plan.batches())[:cells]:
        stylist.run(prepared.job(batch))
    publish_all(prepared.root.catalog)
    return prepared


def gallery(folder, *arguments):
    said = CliRunner().invoke(app, ["gallery", *arguments, "--root", str(folder / "out")], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return Path(re.search(r"page: file://(\S.*)", said.output)[1])


def data_of(page):
    return json.loads(page.read_text().partition('id="data">')[2].partition("</script>")[0])


def test_the_page_of_one_sweep_is_written_again(tmp_path):
    submitted(write_pictures(tmp_path))
    page = gallery(tmp_path)
    assert re.fullmatch(r"one-[0-9a-f]{8}", page.parent.name)
    assert data_of(page)["errors"] == [None, None]
    page.unlink()
    assert gallery(tmp_path, "one") == page
    assert (page.parent / "contact_sheet.jpg").is_file()


def test_the_sweep_is_an_axis_of_a_page_of_several_and_a_cell_of_both_is_shown_for_both(tmp_path):
    first = submitted(write_pictures(tmp_path), "one", "content, noise")
    submitted(tmp_path, "two", "noise, style")
    data = data_of(gallery(tmp_path))
    axes = {axis["key"]: axis for axis in data["axes"]}
    assert axes["sweep"]["values"] == ["one", "two"]
    assert axes["sweep"]["index"] == [0, 0, 1, 1]
    assert data["ids"][1] == data["ids"][2] == first.plan.cells.ids[1]
    assert len(set(data["keys"])) == 4
    assert data_of(gallery(tmp_path, "two"))["ids"] == data["ids"][2:]


def test_sweeps_of_one_name_are_told_apart(tmp_path):
    sweeps = [submitted(write_pictures(tmp_path), "same", kinds).plan.sweep_id for kinds in ("content", "noise")]
    data = data_of(gallery(tmp_path))
    (axis,) = (axis for axis in data["axes"] if axis["key"] == "sweep")
    assert axis["values"] == [f"same ({sweep_id[:8]})" for sweep_id in sweeps]
    assert data_of(gallery(tmp_path, sweeps[0][:8]))["fixed"]["kind"] == "content"


def test_each_set_of_sweeps_has_a_page_of_its_own(tmp_path):
    write_pictures(tmp_path)
    for name in ("one", "two", "three"):
        submitted(tmp_path, name, "content")
    whole = gallery(tmp_path)
    text = whole.read_bytes()
    pages = [gallery(tmp_path, *names) for names in (("one", "two"), ("one", "three"), ("two", "one"), ("one", "two"))]
    assert whole.parent.name == "together"
    assert len({whole, *pages}) == 4
    assert pages[0] == pages[3]
    assert whole.read_bytes() == text
    assert [len(json.loads((page.parent / "sweeps.json").read_text())) for page in (whole, pages[0])] == [3, 2]


def test_a_port_in_use_changes_no_page(tmp_path):
    submitted(write_pictures(tmp_path))
    page = gallery(tmp_path)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in page.parent.iterdir()}
    with socket.create_server(("127.0.0.1", 0)) as taken:
        options = ["--serve", "--port", str(taken.getsockname()[1]), "--root", str(tmp_path / "out")]
        with pytest.raises(UserError, match="cannot be used"):
            CliRunner().invoke(app, ["gallery", *options], catch_exceptions=False)
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in page.parent.iterdir()} == before


def test_an_unknown_sweep_and_an_empty_root_are_said(tmp_path):
    with pytest.raises(InputError, match="there is no root"):
        gallery(tmp_path)
    submitted(write_pictures(tmp_path))
    with pytest.raises(InputError, match="no sweep 'two'"):
        gallery(tmp_path, "two")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_odd_sweeps_open_without_a_fault(tmp_path):
    pytest.importorskip("websockets.sync.client")
    hostile = "<img src=x onerror=window.pwned=1> '\"&"
    write(write_pictures(tmp_path) / f"{hostile}.png".replace("/", "_"), blocks(5))
    submitted(tmp_path, "nothing", cells=0)
    broken = submitted(tmp_path, "broken", "style", cells=0)
    for batch in broken.plan.batches():
        job = broken.job(batch)
        rows = [failure_row(job, cell, InputError(hostile), "read", {}) for cell in batch.cells]
        broken.root.catalog.commit("failures", job.sweep_id, job.key, rows)
        assert Failure.of("x", InputError(hostile)).message == hostile
    hostile_sweep = submitted(tmp_path, "hostile", "content", contents=json.dumps(f"{hostile}.png"))
    for thumbnail in (tmp_path / "out" / "thumbs").rglob("*.webp"):
        thumbnail.unlink()
    pages = {name: gallery(tmp_path, name) for name in ("nothing", "broken", "hostile")}
    pages["together"] = gallery(tmp_path)
    seen = {}
    with opened(pages["nothing"], tmp_path / "profile") as tab:
        for name, page in pages.items():
            tab.page = page
            tab.open(anew=True)
            seen[name] = tab.js("[...document.querySelectorAll('.chip')].map((chip) => chip.textContent).join()")
            for key in ("s", "o", "g", "ArrowDown"):
                tab.key(key, ord(key[0].upper()))
            assert tab.js("window.pwned === undefined")
            faults = [fault for fault in tab.faults if ".webp" not in json.dumps(fault)]  # files that are gone
            assert faults == [], name
            tab.faults.clear()
        assert hostile in tab.js("document.querySelector('#main').textContent")
    assert seen == {
        "nothing": "0 pictures,2 to do", "broken": "0 pictures,1 failed", "hostile": "1 picture",
        "together": "1 picture,1 failed,2 to do",
    }  # fmt: skip
    assert hostile_sweep.plan.total == 1


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("place", ["folder", pytest.param("bucket", marks=pytest.mark.proof)])
def test_a_served_page_follows_the_root(tmp_path, place, request):
    pytest.importorskip("websockets.sync.client")
    write_pictures(tmp_path)
    root = str(tmp_path / "out")
    if place == "bucket":
        root = request.getfixturevalue("s3").root("below")
    submitted(tmp_path, "one", root=root)
    submitted(tmp_path, "two", "content, style", root=root, cells=0)
    with serving(root) as link:
        address = link.partition("/#")[0]
        with opened(Path("unused"), tmp_path / "profile") as tab:
            tab.call("Page.navigate", url=link)
            # The picture of `content` belongs to both.
            tab.until("document.querySelectorAll('.cell img').length === 3")
            tab.until("[...document.images].every((image) => image.naturalWidth > 0)")
            submitted(tmp_path, "two", "content, style", root=root)
            submitted(tmp_path, "three", "noise", root=root)  # it was not there when the server began
            tab.until("document.querySelectorAll('.cell img').length === 5", seconds=150)
            assert tab.faults == []
            outside = [url for url in tab.requests if not url.startswith((address, "data:", "about:"))]
            assert outside == []
    assert open_root(root).uri.endswith("out" if place == "folder" else "below")


def served(root, *arguments, **changed):
    """Start the command that serves the pages of a root, and return it with the address that it prints."""
    constants = {f"flows.command.gallery.{name}": value for name, value in changed.items()}
    process = warm.start("gallery", *arguments, "--serve", "--root", root, changed=constants)
    until = time.monotonic() + warm.DEADLINE_S
    while process.said[0].count("\n") < 2:
        assert time.monotonic() < until
        assert process.poll() is None, process.said
        time.sleep(0.02)
    address = r"http://127\.0\.0\.1:\d+/#token=[\w-]{32}(?=  until)"
    return process, re.match(address, process.said[0].splitlines()[1])[0]


@contextmanager
def serving(root, *arguments):
    """Serve the pages of a root, which is looked at all the time, and give the address."""
    process, link = served(root, *arguments, _EVERY_S=0.1, _SHARE=100.0)
    try:
        yield link
    finally:
        process.send_signal(signal.SIGINT)
        ended = process.ended()
    assert ended.returncode == 0


def stored(root, table):
    """Return a table as pandas reads it, from a bucket too."""
    options = {"client_kwargs": {"endpoint_url": os.environ["AWS_ENDPOINT_URL_S3"]}} if root.startswith("s3:") else None
    return pd.read_parquet(f"{root}/catalog/{table}", storage_options=options)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_what_is_chosen_on_a_served_page_is_stored_below_the_root(tmp_path, place, request):
    pytest.importorskip("websockets.sync.client")
    write_pictures(tmp_path)
    root = str(tmp_path / "out")
    if place == "bucket":
        root = request.getfixturevalue("s3").root("below")
    ids = submitted(tmp_path, "one", "content, noise, style", root=root).plan.cells.ids
    publish_all(open_root(root).catalog)
    with serving(root) as link:
        with opened(Path("unused"), tmp_path / "profile") as tab:
            tab.call("Page.navigate", url=link)
            tab.until("document.querySelectorAll('.cell img').length === 3")
            token = link.partition("#token=")[2]
            assert token not in tab.js("location.href + document.documentElement.outerHTML")
            for key in ("ArrowDown", "f", "v", "1", "2", "u", "0"):
                tab.key(key, 40 if key == "ArrowDown" else ord(key.upper()))
            tab.key("Escape", 27)
            tab.js(f"annotate({ids.index(ids[2])}, {{ tags: ['später'], note: 'dull' }})")
            tab.until(
                "document.querySelector('#kept').textContent === 'kept below the root' && !keeping.busy", seconds=60
            )
            votes = tab.js("[...choices.votes.values()]")
            assert [vote["preferred"] for vote in votes] == ["left", "tie"]
            tab.js("localStorage.clear()")
            tab.js("location.reload()")
            tab.until("document.querySelectorAll('.cell .star').length === 1 && choices.votes.size === 2", seconds=60)
            assert tab.faults == []
            assert not [url for url in tab.requests if token in url.partition("#")[0]]
        with opened(Path("unused"), tmp_path / "another person") as tab:  # who has the address without the token
            tab.call("Page.navigate", url=link.partition("#")[0])
            tab.until("document.querySelectorAll('.cell img').length === 3")
            tab.key("ArrowDown", 40)
            tab.key("f", 70)
            tab.until("document.querySelector('#kept').textContent.startsWith('kept in this browser alone')")
            assert tab.faults == []
    found = stored(root, "votes")
    assert found.vote_id.tolist() == [vote["vote_id"] for vote in votes]
    assert found.left_cell_id.tolist() == [vote["left_cell_id"] for vote in votes]
    notes = stored(root, "annotations").sort_values("annotated_at").drop_duplicates("cell_id", keep="last")
    assert notes.set_index("cell_id")[["favourite", "tags", "note"]].T.to_dict() == {
        ids[0]: {"favourite": True, "tags": "[]", "note": ""},
        ids[2]: {"favourite": False, "tags": '["später"]', "note": "dull"},
    }
    assert fsck(open_root(root)).problems == []


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_served_page_of_one_sweep_goes_on_to_a_run_of_its_name_that_begins_later(tmp_path):
    pytest.importorskip("websockets.sync.client")
    first = submitted(write_pictures(tmp_path), "one")
    submitted(tmp_path, "another", "style")
    with serving(str(tmp_path / "out"), "one") as link, opened(Path("unused"), tmp_path / "profile") as tab:
        tab.call("Page.navigate", url=link)
        tab.until("document.querySelectorAll('.cell img').length === 2")
        with LivePage(first, every=0.05) as page:  # the same sweep is run again
            tab.until("document.querySelector('#news')?.textContent === 'running'", seconds=60)
            assert page.heads is not None
        second = submitted(tmp_path, "one", "content, noise, style")
        tab.until("document.querySelectorAll('.cell img').length === 3", seconds=60)
        assert second.plan.sweep_id[:8] in tab.js("location.pathname")
        assert tab.faults == []
