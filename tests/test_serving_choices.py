"""Votes and annotations that are sent to the server of pages: who may send what, and what is kept."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pandas as pd
import pytest

from nst.errors import StorageError, UserError
from tasks.fsck.check import fsck
from tasks.pages.choices import MOST_BYTES, Choices, read_said
from tasks.pages.serving import PageServer
from tasks.root import open_root

HOME = "gallery/one-12345678/index.html"
CELLS = [f"{number:032x}" for number in range(4)]


def vote(number=0, **changes):
    return {
        "vote_id": f"{number:032x}", "left_cell_id": CELLS[0], "right_cell_id": CELLS[1], "preferred": "left",
        "shown": "side", "pairs": "pair", "browser": "abcdefgh", "voted_at": "2026-11-30T01:02:03.456Z", **changes,
    }  # fmt: skip


def annotation(number=0, **changes):
    return {
        "annotation_id": f"{number:032x}", "cell_id": CELLS[0], "favourite": True, "tags": ["print", "Über"],
        "note": "grey, <b>\n", "browser": "abcdefgh", "annotated_at": "2026-11-30T01:02:03.456Z", **changes,
    }  # fmt: skip


@pytest.fixture
def root(tmp_path):
    return open_root(str(tmp_path / "root"))


@pytest.fixture
def server(root):
    root.store.put(HOME, b"<p>page")
    choices = Choices(root.catalog)
    with PageServer(root.store, HOME, choices=choices) as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        found.shutdown()


def headers_of(server, **changes):
    address = server.address
    headers = {
        "Host": address.removeprefix("http://"), "Origin": address, "Content-Type": "application/json",
        "Authorization": f"Bearer {server.link.partition('#token=')[2]}",
    }  # fmt: skip
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


def ask(server, method, path, body=None, **changes):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest(method, path, skip_host=True)
    headers = headers_of(server, **{name.replace("_", "-"): value for name, value in changes.items()})
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    if data is not None and "Content-Length" not in headers:
        headers["Content-Length"] = str(len(data))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(data)
    answer = connection.getresponse()
    found = answer.read()
    connection.close()
    return answer.status, found


def send(server, body, **changes):
    return ask(server, "POST", "/choices", body, **changes)[0]


def test_what_is_sent_becomes_tables_that_pandas_reads(server, root, tmp_path):
    assert (
        send(server, {"votes": [vote(1), vote(2, preferred="tie", shown="wipe")], "annotations": [annotation(3)]})
        == 204
    )
    server.choices.publish()
    votes = pd.read_parquet(tmp_path / "root/catalog/votes")
    assert votes.preferred.tolist() == ["left", "tie"]
    assert votes.left_cell_id.tolist() == [CELLS[0]] * 2
    assert votes.voted_at.tolist() == [pd.Timestamp("2026-11-30T01:02:03.456Z")] * 2
    notes = pd.read_parquet(tmp_path / "root/catalog/annotations")
    assert (notes.favourite.item(), json.loads(notes.tags.item()), notes.note.item()) == (
        True,
        ["print", "Über"],
        "grey, <b>\n",
    )
    assert fsck(root).problems == []


def test_all_of_it_is_read_back_and_of_annotations_the_latest(server):
    later = annotation(2, favourite=False, tags=[], annotated_at="2026-11-30T01:02:04Z")
    assert send(server, {"votes": [vote(1)], "annotations": [later, annotation(1)]}) == 204
    status, body = ask(server, "GET", "/choices")
    found = json.loads(body)
    assert status == 200
    assert [(row["vote_id"], row["preferred"]) for row in found["votes"]] == [(vote(1)["vote_id"], "left")]
    (note,) = found["annotations"]
    assert (note["annotation_id"], note["favourite"], note["tags"]) == (later["annotation_id"], False, [])
    assert datetime.fromisoformat(note["annotated_at"]) == datetime(2026, 11, 30, 1, 2, 4, tzinfo=UTC)


def test_what_is_sent_twice_counts_once_and_what_is_taken_back_not_at_all(server, root):
    for _ in range(3):
        assert send(server, {"votes": [vote(1), vote(2)]}) == 204
    server.choices.publish()
    assert root.catalog.read("votes").num_rows == 2
    assert send(server, {"withdrawn": [vote(1)["vote_id"], "f" * 32]}) == 204
    assert root.catalog.read("votes")["vote_id"].to_pylist() == [vote(2)["vote_id"]]
    assert fsck(root).problems == []


def test_no_vote_is_lost_when_many_vote_at_once(server, root):
    others = [PageServer(root.store, HOME, choices=Choices(open_root(root.uri).catalog)) for _ in range(2)]
    for other in others:
        threading.Thread(target=other.serve_forever, args=(0.02,), daemon=True).start()
    servers = [server, *others]

    def cast(number):
        status = send(servers[number % 3], {"votes": [vote(number)]})
        servers[number % 3].choices.publish()
        return status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(cast, range(24))) == {204}
    for other in others:
        other.shutdown()
        other.server_close()
    assert open_root(root.uri).catalog.keys("votes", "vote_id", live=False) == {vote(n)["vote_id"] for n in range(24)}
    assert fsck(root).problems == []


def test_only_who_has_the_token_and_names_this_address_may_send(server, root):
    port = server.server_address[1]
    token = server.link.partition("#token=")[2]
    assert len(token) >= 32
    body = {"votes": [vote(1)]}
    for changes in (
        {"Authorization": None}, {"Authorization": "Bearer"}, {"Authorization": f"Bearer {token[:-1]}"},
        {"Authorization": f"Bearer {token}x"}, {"Authorization": token}, {"Authorization": "Bearer é"},
        {"Host": "evil.example"}, {"Host": f"evil.example:{port}"}, {"Host": ""}, {"Host": f"127.0.0.1:{port + 1}"},
        {"Origin": None}, {"Origin": "null"}, {"Origin": "http://evil.example"}, {"Origin": f"https://127.0.0.1:{port}"},
        {"Origin": f"127.0.0.1:{port}"}, {"Origin": f"http://127.0.0.1:{port}.evil.example"},
    ):  # fmt: skip
        assert send(server, body, **changes) == 403, changes
    assert ask(server, "POST", f"/choices?token={token}", body, Authorization=None)[0] == 403
    for path in ("/choices", "/now"):
        assert ask(server, "GET", path, Authorization=None)[0] == 403
        assert ask(server, "GET", path, Host="evil.example")[0] == 403
        assert ask(server, "GET", path, Origin="http://evil.example")[0] == 403
    assert root.catalog.read("votes").num_rows == 0
    assert send(server, body, Host=f"localhost:{port}", Origin=f"http://localhost:{port}") == 204


def test_each_server_has_a_token_of_its_own(root):
    with (
        PageServer(root.store, HOME, choices=Choices(root.catalog)) as one,
        PageServer(root.store, HOME, choices=Choices(root.catalog)) as two,
    ):
        assert one.link.partition("#token=")[2] != two.link.partition("#token=")[2]
        assert one.link.startswith(f"{one.address}/#token=")


def test_other_kinds_other_places_and_too_much_are_refused_unread(server, root):
    body = {"votes": [vote(1)]}
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"):
        assert send(server, body, Content_Type=kind) == 415
    for path in (f"/{HOME}", "/", "/choices/", "/choices/../x", "/now", "/catalog/votes/x.parquet", "/%63hoices"):
        assert ask(server, "POST", path, body)[0] == 404, path
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(server, method, "/choices", body)[0] == 501
    assert send(server, b"", Content_Length=str(MOST_BYTES + 1)) == 413
    assert send(server, b"", Content_Length="9" * 30) == 411
    for length in ("-1", "+5", "1e3", "", "0x10", " "):
        assert send(server, b"", Content_Length=length) == 411, length
    assert send(server, b"5\r\nhello\r\n0\r\n\r\n", Transfer_Encoding="chunked") == 411
    assert root.store.get(HOME) == b"<p>page"
    assert root.store.list("state/votes/wal/") == []


def test_what_follows_a_refused_request_is_not_taken_for_another(server):
    """A body that nobody reads must not be answered as a request of its own (request smuggling)."""
    inner = f"GET /{HOME} HTTP/1.1\r\nHost: {server.address.removeprefix('http://')}\r\n\r\n"
    outer = f"POST /choices HTTP/1.1\r\nHost: evil.example\r\nContent-Length: {len(inner)}\r\n\r\n{inner}"
    with socket.create_connection(server.server_address, timeout=30) as connection:
        connection.sendall(outer.encode())
        answers = b""
        while part := connection.recv(65536):
            answers += part
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"403" in answers.split(b"\r\n")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'{"votes": 1}', b"\xff\xfe", b"[" * 100_000, {"other": []},
        {"votes": [vote(vote_id="x")]}, {"votes": [vote(vote_id="../../etc/passwd")]}, {"votes": [vote(more=1)]},
        {"votes": [vote(left_cell_id="../pictures/x")]}, {"votes": [vote(left_cell_id=CELLS[0].upper() + "AF")]},
        {"votes": [vote(right_cell_id=CELLS[0])]}, {"votes": [vote(preferred="both")]}, {"votes": [vote(preferred=1)]},
        {"votes": [vote(pairs="a/b")]}, {"votes": [vote(browser="me")]},
        {"votes": [vote(voted_at="2026-11-30T01:02:03")]},
        {"votes": [vote(voted_at="9999-12-31T23:59:59Z")]}, {"votes": [vote(voted_at=1)]},
        {"votes": [vote(voted_at="2000-01-01T00:00:00+23:59")]}, {"annotations": [annotation(annotated_at=1)]},
        {"votes": [vote(voted_at="2200-12-31T23:59:59-00:01")]},
        {"votes": [vote(voted_at="9999-12-31T23:59:59-23:59")]},
        {"votes": [vote(voted_at="0001-01-01T00:00:00+23:59")]},
        {"votes": [{key: value for key, value in vote().items() if key != "shown"}]},
        {"votes": [vote(number) for number in range(41)]}, {"withdrawn": ["x"]}, {"withdrawn": ["f" * 32] * 41},
        {"annotations": [annotation(note="x" * 4001)]}, {"annotations": [annotation(tags=["x"] * 51)]},
        {"annotations": [annotation(tags=["x" * 61])]}, {"annotations": [annotation(tags=[""])]},
        {"annotations": [annotation(tags=["a,b"])]}, {"annotations": [annotation(tags=["a\nb"])]},
        {"annotations": [annotation(favourite="yes")]}, {"annotations": [annotation(note="\ud800")]},
    ],
)  # fmt: skip
def test_what_no_page_sends_is_refused(server, root, body):
    status, said = ask(server, "POST", "/choices", body)
    assert status == 400
    assert said.startswith(b"the request is no list of votes and annotations")
    assert len(said) < 500
    assert root.store.list("state/") == []


def test_a_store_that_does_not_answer_is_told_and_the_same_can_be_sent_again(server, root, monkeypatch):
    def refuse(*_, **__):
        raise StorageError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(type(root.store), "put", refuse)
        assert send(server, {"votes": [vote(1)]}) == 502
    assert send(server, {"votes": [vote(1)]}) == 204
    with monkeypatch.context() as patch:
        patch.setattr(type(root.catalog), "publish", refuse)
        with pytest.raises(StorageError):
            server.choices.publish()
    server.choices.publish()
    assert root.catalog.read("votes", live=False).num_rows == 1


@pytest.mark.parametrize("error", [UserError("cannot write: Read-only file system"), StorageError("no answer")])
def test_a_store_that_refuses_is_no_fault_of_the_page_and_is_said_once(server, root, monkeypatch, error):
    said = []
    server.told = said.append

    def refuse(*_, **__):
        raise error

    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(type(root.store), "put", refuse)
            for number in range(3):
                status, why = ask(server, "POST", "/choices", {"votes": [vote(number)]})
                assert (status, why) == (502, str(error).encode())
        assert send(server, {"votes": [vote(1)]}) == 204
    assert said == [f"votes and notes cannot be kept: {error}"] * 2


@pytest.mark.parametrize("table", ["votes", "annotations"])
def test_what_a_killed_server_left_is_published_by_the_next(root, tmp_path, table):
    rows = {"votes": vote(1), "annotations": annotation(1)}
    Choices(root.catalog).take(read_said(json.dumps({table: [rows[table]]}).encode()))  # and never published
    Choices(open_root(root.uri).catalog).publish()
    assert len(pd.read_parquet(tmp_path / "root/catalog" / table)) == 1


def test_a_server_to_which_nobody_sends_writes_nothing(root):
    Choices(root.catalog).publish()
    assert root.store.list("") == []


def test_pages_and_choices_name_the_root_and_a_copy_is_another(server, root, tmp_path):
    answer = socket.create_connection(server.server_address, timeout=30)
    with answer:
        answer.sendall(f"GET /{HOME} HTTP/1.0\r\nHost: {server.address.removeprefix('http://')}\r\n\r\n".encode())
        head = answer.makefile("rb").read().decode()
    name = json.loads(ask(server, "GET", "/choices")[1])["root"]
    assert f'Server-Timing: root;desc="{name}"' in head
    (tmp_path / "link").symlink_to(tmp_path / "root")
    assert Choices(open_root(str(tmp_path / "link")).catalog).root_id == name
    assert Choices(open_root(str(tmp_path / "copy")).catalog).root_id != name


def test_the_page_that_is_shown_now_and_its_run_are_told(server, root):
    def now():
        return json.loads(ask(server, "GET", "/now")[1])

    assert now() == {"home": HOME, "run": ""}
    news = f"{HOME.rpartition('/')[0]}/live.js"
    root.store.put(news, b'nstLive({"run": "r1", "at": 0.0, "ended": false},[],[])\n')
    assert now() == {"home": HOME, "run": "r1"}
    for text in (b'nstLive({"run": "r1", "at": 0.0, "ended": true},[],[])\n', b"nstLive({", b"", b"\xff",
                 b'nstLive({"run": "r1", "at": 1.5, "ended": false},[],[])\n'):  # fmt: skip
        root.store.put(news, text)
        assert now()["run"] == "", text
    server.home = "gallery/two/index.html"
    assert now() == {"home": "gallery/two/index.html", "run": ""}
