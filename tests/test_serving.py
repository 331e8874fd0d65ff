"""The server of pages: whom it answers, what it gives away, and that it gives nothing else."""

from __future__ import annotations

import http.client
import socket
import threading

import pytest

from nst.errors import UserError
from tasks.pages.serving import PageServer
from tasks.store import open_store

HOME = "gallery/one-12345678/index.html"


@pytest.fixture
def server(tmp_path):
    root = tmp_path / "root"
    store = open_store(str(root))
    for key, data in {
        HOME: b"<p>page", "gallery/one-12345678/live.js": b"nstLive()", "pictures/ab/x.png": b"0123456789",
        "thumbs/ab/x.webp": b"small", "catalog/results/a.parquet": b"rows", "state/secret.json": b"{}",
    }.items():  # fmt: skip
        store.put(key, data)
    (tmp_path / "outside.png").write_bytes(b"outside")
    (root / "pictures" / "link.png").symlink_to(tmp_path / "outside.png")
    (root / "pictures" / "linked").symlink_to(tmp_path)
    with PageServer(store, HOME) as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found
        found.shutdown()


def ask(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_pages_pictures_and_thumbnails_are_served(server):
    for path, kind, body in (
        (f"/{HOME}", "text/html; charset=utf-8", b"<p>page"), ("/pictures/ab/x.png", "image/png", b"0123456789"),
        ("/thumbs/ab/x.webp", "image/webp", b"small"),
        ("/gallery/one-12345678/live.js?17", "text/javascript", b"nstLive()"),
    ):  # fmt: skip
        answer, found = ask(server, path)
        assert (answer.status, answer.getheader("Content-Type"), found) == (200, kind, body)
        assert answer.getheader("X-Content-Type-Options") == "nosniff"
        assert answer.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert ask(server, "/gallery/one-12345678/live.js")[0].getheader("Cache-Control") == "no-store"
    assert ask(server, "/favicon.ico")[0].status == 204
    answer, _ = ask(server, "/")
    assert (answer.status, answer.getheader("Location")) == (302, f"/{HOME}")
    answer, body = ask(server, "/pictures/ab/x.png", "HEAD")
    assert (answer.getheader("Content-Length"), body) == ("10", b"")


def test_a_part_of_an_object(server):
    answer, body = ask(server, "/pictures/ab/x.png", Range="bytes=2-4")
    assert (answer.status, answer.getheader("Content-Range"), body) == (206, "bytes 2-4/10", b"234")
    assert ask(server, "/pictures/ab/x.png", Range="bytes=7-")[1] == b"789"
    assert ask(server, "/pictures/ab/x.png", Range="bytes=12-")[0].status == 416
    assert ask(server, "/pictures/ab/x.png", Range=f"bytes={'9' * 5000}-")[0].status == 416
    assert ask(server, "/pictures/ab/x.png", Range=f"bytes=8-{'9' * 5000}")[1] == b"89"


@pytest.mark.parametrize(
    "path",
    [
        "/catalog/results/a.parquet", "/state/secret.json", "/pictures/../state/secret.json",
        "/pictures/%2e%2e/state/secret.json", "/pictures/..%2fstate/secret.json", "//etc/passwd",
        "/pictures//etc/passwd",
        "/gallery/%00", "/pictures/link.png", "/pictures/linked/outside.png", "/pictures", "/pictures/", "/pictures/ab",
        "http://[/x", "//[", "/[::1",
        "/manifests/x.yaml", "/gallery/../../outside.png", "/nothing", "/pictures/" + "x" * 3000,
    ],
)  # fmt: skip
def test_nothing_else_is_served(server, path):
    answer, body = ask(server, path, Host=server.hosts[0])
    assert answer.status == 404
    assert body == b"Not Found"


def test_a_request_must_name_this_address(server):
    port = server.server_address[1]
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", ""):
        assert ask(server, f"/{HOME}", Host=host)[0].status == 403, host
    assert ask(server, f"/{HOME}", Host=f"localhost:{port}")[0].status == 200


def test_scripts_of_other_pages_are_refused(server):
    port = server.server_address[1]
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"):
        assert ask(server, f"/{HOME}", Origin=origin)[0].status == 403, origin
    assert ask(server, f"/{HOME}", Origin=f"http://127.0.0.1:{port}")[0].status == 200


def test_nothing_can_be_written(server):
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        assert ask(server, f"/{HOME}", method)[0].status == 501
    assert ask(server, f"/{HOME}")[1] == b"<p>page"


def test_it_listens_to_this_machine_alone_and_says_when_it_cannot(server, tmp_path):
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(UserError, match="cannot be used"):
        PageServer(open_store(str(tmp_path)), HOME, server.server_address[1])


def test_many_connections_at_once_wait_their_turn(tmp_path):
    with PageServer(open_store(str(tmp_path)), HOME) as busy:  # nobody accepts yet
        waiting = [socket.create_connection(busy.server_address, timeout=60) for _ in range(60)]
        for connection in waiting:
            connection.close()
