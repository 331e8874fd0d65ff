"""Servers that answer nonsense: one attempt, one clear line, and of a sweep only the cells of that image."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import threading
from typing import TYPE_CHECKING

import aiohttp
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import InputError, StorageError, UserError
from nst.pictures.images import encode
from nst.records import OutputFormat
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.digests import Digests
from tasks.inputs.images import FoundImage, find_images, image_refs, stem
from tasks.inputs.uris import read_uri, stat_uri
from tasks.store import Patience, open_store
from tasks.store.contract import UnreadableError
from tasks.store.transport import may_pass

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD = "method: {name: gatys, size: 24, steps: 1, backbone: {weights: random}}\n"
ENDLESS = Patience(deadline=1e9, known=True)
"""With it a fault that is tried again as long as it lasts would never end."""
CLOSE = b"Connection: close\r\n\r\n"
PICTURE = encode(np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8), OutputFormat(), {})

NONSENSE = {
    "loop": b"HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\n" + CLOSE,
    "negative": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n" + CLOSE + b"abc",
    "long-header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n" + CLOSE,
    "two-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + CLOSE + b"ab",
    "another-protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "bad-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"zz\r\nabc\r\n",
    "to-another-protocol": b"HTTP/1.1 302 Found\r\nLocation: ftp://host/a.png\r\nContent-Length: 0\r\n" + CLOSE,
    "to-no-link": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n" + CLOSE,
    "to-no-port": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:99999/\r\nContent-Length: 0\r\n" + CLOSE,
    "to-no-host": b"HTTP/1.1 302 Found\r\nLocation: http://a..b/\r\nContent-Length: 0\r\n" + CLOSE,
    "to-nowhere": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n" + CLOSE,
    "no-status": b"HTTP/1.1 999 Go Away\r\nContent-Length: 0\r\n" + CLOSE,
}
PASSING = {
    "nothing": b"",
    "half-a-header": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half-a-body": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n" + CLOSE + b"ab",
    "half-a-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"5\r\nab",
    **{
        str(status): f"HTTP/1.1 {status} Later\r\nContent-Length: 0\r\n".encode() + CLOSE
        for status in (408, 425, 429, 500, 503, 504)
    },
}


class Raw:
    """A server that answers every request with given bytes and closes.

    Attributes:
        url: Where it listens.
        asked: The first line of every request, without the protocol.
        answers: The bytes by the last part of the path; a picture where there are none.
    """

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                if not (piece := connection.recv(65_536)):
                    return
                request += piece
            method, path = request.split()[:2]
            self.asked.append(f"{method.decode()} {path.decode()}")
            whole = f"HTTP/1.1 200 OK\r\nContent-Length: {len(PICTURE)}\r\n".encode() + CLOSE
            whole += PICTURE if method == b"GET" else b""
            connection.sendall(self.answers.get(path.decode().rpartition("/")[2], whole))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def raw() -> Iterator[Raw]:
    server = Raw({**NONSENSE, **PASSING})
    yield server
    server.close()


@pytest.mark.parametrize("answer", NONSENSE)
def test_a_link_that_is_answered_by_nonsense_is_given_up_at_once(raw: Raw, answer: str):
    with pytest.raises(UnreadableError, match=rf"{raw.url}/{answer}.* (HTTP|leads on)") as caught:
        read_uri(f"{raw.url}/{answer}", patience=ENDLESS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert len(raw.asked) <= (11 if answer == "loop" else 1)
    assert stat_uri(f"{raw.url}/{answer}", patience=ENDLESS).etag == ""


@pytest.mark.parametrize("answer", PASSING)
def test_what_may_pass_is_tried_again(raw: Raw, answer: str):
    with pytest.raises(StorageError, match="gave up after"):
        read_uri(f"{raw.url}/{answer}", patience=Patience(0.2, first_wait=0.01, longest_wait=0.01))
    assert len(raw.asked) > 1


@pytest.mark.parametrize("link", ["http://a..b/x.png", f"http://{'a' * 80}.com/x.png", "http://127.0.0.1:99999/x.png"])
def test_a_link_that_can_be_none_is_the_users_to_mend(link: str):
    for use in (read_uri, stat_uri):
        with pytest.raises(InputError, match="is not a valid link") as caught:
            use(link, patience=ENDLESS)
        assert not isinstance(caught.value, UnreadableError)


def test_an_image_that_is_answered_by_nonsense_has_a_fault_and_the_others_their_digests(tmp_path: Path, raw: Raw):
    base = BaseUri.of(f"{tmp_path}/m.yaml")
    stats = [stat for name in ("whole", "loop", "negative") for stat in find_images(f"{raw.url}/{name}", base)]
    found = image_refs([FoundImage(stem(stat.key), stat, None) for stat in stats], Digests(open_store(tmp_path)))
    assert [bool(ref.fault) for ref in found] == [False, True, True]
    assert "leads on to no link" in found[1].fault


def test_one_link_that_is_answered_by_nonsense_costs_its_own_cells(
    tmp_path: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.png").write_bytes(PICTURE)
    contents = f"contents: [c.png, '{raw.url}/long-header', '{raw.url}/to-no-host']"
    (tmp_path / "m.yaml").write_text(f"name: a\n{contents}\nstyles: c.png\n{METHOD}")
    run = CliRunner().invoke(app, ["run", "m.yaml", "--inline"])
    assert run.exit_code == 1, run.output
    assert list(pd.read_parquet("out/catalog/results").content_name) == ["c"]
    assert sorted(pd.read_parquet("out/catalog/failures").content_name) == ["long-header", "to-no-host"]


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:99999", "ftp://host", "http://a..b", "nonsense"])
def test_an_endpoint_that_can_be_none_is_the_users_to_mend(endpoint: str, monkeypatch: pytest.MonkeyPatch):
    use_endpoint(endpoint, monkeypatch)
    with pytest.raises(UserError, match=f"not a valid bucket, key or endpoint .{re.escape(endpoint)}"):
        open_store("s3://b/x", ENDLESS).get("k")


def test_certificates_that_are_not_there_are_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_endpoint("https://127.0.0.1:9", monkeypatch)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "gone.pem"))
    with pytest.raises(UserError, match="FileNotFoundError") as caught:
        open_store("s3://b/x", Patience(deadline=1e9, stall=19.0)).get("k")
    assert "AWS_CA_BUNDLE" in caught.value.hint


@pytest.mark.parametrize("answer", ["negative", "long-header", "another-protocol"])
def test_a_server_that_answers_nonsense_is_no_store(answer: str, monkeypatch: pytest.MonkeyPatch):
    server = Raw({"k": NONSENSE[answer]})
    use_endpoint(server.url, monkeypatch)
    with pytest.raises(UserError, match="none of an S3 server"):
        open_store("s3://b/x", Patience(deadline=1e9)).get("k")
    assert len(server.asked) == 1
    server.close()


def use_endpoint(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        monkeypatch.setenv(name, endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (OSError(errno.EHOSTUNREACH, ""), True),
        (OSError(errno.EMFILE, ""), True),
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientPayloadError(), True),
        (FileNotFoundError(errno.ENOENT, ""), False),
        (PermissionError(errno.EACCES, ""), False),
        (OSError("of a library"), False),
        (ValueError(), False),
        (aiohttp.InvalidURL("x"), False),
    ],
)
def test_only_what_is_known_to_pass_passes(error: Exception, passes: bool):
    assert may_pass(error) is passes
