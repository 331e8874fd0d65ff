"""What browsers send to the server of pages, and what they must not: rows of others, rows of another root, bad rows."""

from __future__ import annotations

import json
import shutil
import threading
from contextlib import contextmanager
from datetime import datetime

import numpy as np
import pytest
from browser import CHROMIUM, opened

from nst.config import METHOD_CONFIGS
from nst.errors import UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.catalog import parameters
from tasks.pages.choices import Choices, read_said
from tasks.pages.gallery import build_gallery
from tasks.pages.serving import PageServer
from tasks.root import open_root

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")]

HOME = "gallery/one-12345678/index.html"
CELLS = [f"{number:032x}" for number in range(4)]
READY = "document.readyState === 'complete' && document.querySelector('#views button') !== null"
SENT = "keeping.learnt && !keeping.busy && !keeping.fault && !outbox.votes.length && !outbox.annotations.length"
AHEAD = "2030-01-01T00:00:00.000Z"


def annotation(number=0, **changes):
    return {
        "annotation_id": f"{number:032x}", "cell_id": CELLS[0], "favourite": True, "tags": [], "note": "",
        "browser": "abcdefgh", "annotated_at": "2026-11-30T01:02:03.456Z", **changes,
    }  # fmt: skip


def vote(number=0, **changes):
    return {
        "vote_id": f"{number:032x}", "left_cell_id": CELLS[0], "right_cell_id": CELLS[1], "preferred": "left",
        "shown": "side", "pairs": "pair", "browser": "abcdefgh", "voted_at": "2026-11-30T01:02:03.456Z", **changes,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Make a root with a page of four pictures."""
    pytest.importorskip("websockets.sync.client")
    # Servers of this process that end leave no connection open, on which they would answer in place of the next.
    monkeypatch.setattr("tasks.pages.serving._Handler.protocol_version", "HTTP/1.0")
    root, rows = tmp_path / "root", []
    for number, cell_id in enumerate(CELLS):
        config = METHOD_CONFIGS["gatys"](style_weight=float(number + 1))
        picture = root / "pictures" / f"{number}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        picture.write_bytes(encode(np.full((8, 8, 3), 60 * number, dtype=np.uint8), OutputFormat(), {}))
        rows.append({
            "cell_id": cell_id, "content_name": "town", "style_name": "night", "picture_uri": f"file://{picture}",
            "picture_width": 8, "picture_height": 8, **parameters.flatten(config),
        })  # fmt: skip
    page = root / HOME
    page.parent.mkdir(parents=True)
    page.write_text(build_gallery(rows, title="one", page_uri=str(page)), encoding="utf-8")
    return root


@contextmanager
def serving(folder, port=0):
    root = open_root(str(folder))
    with PageServer(root.store, HOME, port, Choices(root.catalog)) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextmanager
def browsing(tmp_path, name="profile"):
    with opened(tmp_path, tmp_path / name) as tab:
        yield tab


def visit(tab, link, *, learnt=True):
    tab.call("Page.navigate", url="about:blank")
    tab.call("Page.navigate", url=link)
    tab.until(READY)
    if learnt:
        tab.until("keeping.learnt && !keeping.busy")


def stored(folder, table):
    return open_root(str(folder)).catalog.read(table).to_pylist()


def press(tab, *keys):
    for key in keys:
        tab.key(key, {"Escape": 27}.get(key) or ord(key.upper()))


def test_a_vote_that_was_taken_back_does_not_come_back_from_another_browser(folder, tmp_path):
    with serving(folder) as server, browsing(tmp_path, "one") as one, browsing(tmp_path, "two") as two:
        visit(one, server.link)
        press(one, "v", "1", "2")
        one.js("annotate(0, { note: 'seen' })")
        one.until(SENT)
        visit(two, server.link)
        assert two.js("[choices.votes.size, choices.notes.size]") == [2, 1]
        (seen,) = (row["annotation_id"] for row in stored(folder, "annotations"))
        server.choices.publish()
        two.js("annotate(1, { note: 'theirs' })")  # which keeps, and sends, what there is to send
        two.until(SENT)
        press(one, "u")
        one.until("!keeping.busy && !outbox.withdrawn.length")
        assert len(stored(folder, "votes")) == 1
        open_root(str(folder)).catalog.drop("annotations", "annotation_id", {seen})  # as `nst rm` does
        visit(two, server.link)
        two.js("annotate(1, { note: 'theirs, once more' })")
        two.until(SENT)
        assert len(stored(folder, "votes")) == 1
        assert {row["note"] for row in stored(folder, "annotations")} == {"theirs", "theirs, once more"}
        assert (one.faults, two.faults) == ([], [])


def test_what_was_not_sent_belongs_to_its_root_whoever_is_served_there_later(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")  # its cells have the same ids
    with browsing(tmp_path) as tab:
        with serving(folder) as server:
            port = server.server_address[1]
            visit(tab, server.link)
            tab.js("annotate(0, { note: 'sent' })")
            tab.until(SENT)
        tab.js("annotate(1, { note: 'secret' })")
        press(tab, "v", "1", "Escape")
        tab.until("keeping.fault && !keeping.busy")
        with serving(tmp_path / "copy", port) as server:
            # The page that is still open gets the token of the other root; then the other root's own page is opened.
            tab.js(f"location.hash = {server.link.partition('#')[2]!r}")
            tab.until("keeping.fault.includes('another root')")
            visit(tab, server.link)
            assert tab.js("[choices.votes.size, choices.notes.size]") == [0, 0]
            tab.js("annotate(2, { note: 'public' })")
            tab.until(SENT)
        assert [row["note"] for row in stored(tmp_path / "copy", "annotations")] == ["public"]
        assert stored(tmp_path / "copy", "votes") == []
        with serving(folder, port) as server:
            visit(tab, server.link)
            tab.until(SENT)
        assert sorted(row["note"] for row in stored(folder, "annotations")) == ["secret", "sent"]
        assert len(stored(folder, "votes")) == 1


def test_what_is_written_last_counts_also_where_another_clock_is_ahead(folder, tmp_path):
    with serving(folder) as server, browsing(tmp_path) as tab:
        server.choices.take(read_said(json.dumps({"annotations": [annotation(annotated_at=AHEAD)]}).encode()))
        visit(tab, server.link)
        tab.js("annotate(0, { favourite: false, note: 'mine' })")
        assert tab.js("markOf(0).note") == "mine"
        tab.until(SENT)
        visit(tab, server.link)
        assert tab.js("[markOf(0).note, markOf(0).favourite]") == ["mine", False]
        last = max(stored(folder, "annotations"), key=lambda row: row["annotated_at"])
        assert last["note"] == "mine"
        assert last["annotated_at"] > datetime.fromisoformat(AHEAD)


BAD = [
    {"annotations": [{**annotation(7), "tags": None}]},
    {"annotations": [{key: value for key, value in annotation(7).items() if key != "tags"}]},
    {"annotations": [annotation(7, tags="abc")]}, {"annotations": [annotation(7, annotated_at="never")]},
    {"annotations": [annotation(7, annotated_at=5)]}, {"annotations": [annotation(7, tags=[{}])]},
    {"annotations": [annotation(7, favourite="x", note=5)]}, {"votes": [vote(7, preferred="both")]},
    {"votes": [{"vote_id": "e" * 32}]}, {"votes": 5, "annotations": {}, "withdrawn": 5}, {"withdrawn": ["zz"]},
    {"browser": {"a": 1}}, {"browser": "XYZ"}, {"votes": [vote(7, more=1)]},
    {"annotations": [annotation(7, note="\ud800")]},
]  # fmt: skip


def test_a_bad_row_in_the_memory_of_the_browser_neither_stops_the_page_nor_what_is_kept(folder, tmp_path):
    with serving(folder) as server, browsing(tmp_path) as tab:
        visit(tab, server.link)
        for number, bad in enumerate(BAD):
            tab.js(f"localStorage.setItem(KEPT, {json.dumps(json.dumps(bad))})")
            visit(tab, server.link)
            assert tab.js("document.querySelectorAll('.cell').length") == 4, bad
            press(tab, "v", "1", "Escape")
            tab.js(f"annotate(3, {{ note: 'good {number}' }})")
            tab.until("!keeping.busy && [...outbox.votes, ...outbox.annotations].every((row) => keeping.refused.size)")
            assert len(stored(folder, "votes")) == number + 1, bad
            assert f"good {number}" in {row["note"] for row in stored(folder, "annotations")}, bad
        assert "no list of votes" in tab.js("document.querySelector('#kept').textContent")  # of the last
        exceptions = [fault for fault in tab.faults if "exceptionDetails" in fault]
        assert exceptions == []


def test_a_token_that_is_added_to_the_address_of_an_open_page_is_taken(folder, tmp_path):
    with serving(folder) as server, browsing(tmp_path) as tab:
        visit(tab, f"{server.address}/{HOME}", learnt=False)
        tab.js("annotate(0, { note: 'early' })")
        assert "in this browser alone" in tab.js("document.querySelector('#kept').textContent")
        assert stored(folder, "annotations") == []
        assert tab.faults == []
        tab.js("location.hash = 'token=wrong'")
        tab.until("document.querySelector('#kept').textContent.includes('open the address that it printed')")
        tab.js(f"location.hash = {server.link.partition('#')[2]!r}")
        tab.until(SENT)
        assert "token" not in tab.js("location.href")
        assert [row["note"] for row in stored(folder, "annotations")] == ["early"]
        assert tab.js("keeping.following")
        assert not [fault for fault in tab.faults if "exceptionDetails" in fault]


def test_a_store_that_refuses_is_told_on_the_page_and_what_was_said_is_sent_later(folder, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise UserError("cannot write below the root: Read-only file system")

    with serving(folder) as server, browsing(tmp_path) as tab:
        visit(tab, server.link)
        with monkeypatch.context() as patch:
            patch.setattr(type(server.store), "put", refuse)
            tab.js("favour(0)")
            tab.until("document.querySelector('#kept').textContent.includes('Read-only file system')")
        tab.until(SENT, seconds=30)
        assert len(stored(folder, "annotations")) == 1


def test_nothing_is_called_kept_before_the_server_has_it(folder, tmp_path):
    with serving(folder) as server, browsing(tmp_path) as tab:
        visit(tab, server.link)
        # As if the server had not yet answered what it has.
        assert tab.js("keeping.learnt = false; favour(0); keptWhere()") == "not below the root yet"
        tab.until(SENT)
        assert tab.js("document.querySelector('#kept').textContent") == "kept below the root"
        assert len(stored(folder, "annotations")) == 1
