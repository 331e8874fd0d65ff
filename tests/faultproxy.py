"""An HTTP/1.1 proxy before one server that drops, resets, stalls, truncates or refuses chosen requests.

    proxy = FaultProxy("http://127.0.0.1:5000", [Rule("drop_response", method="PUT", part="/wal/", hits={1})])

Actions:
    drop_response    the server does the work and answers; the client gets a reset instead
    reset_request    a reset before the server sees anything
    status:503       an S3 error document with that status; the server sees nothing
    stall:0.5        that many seconds of silence, then the true answer
    truncate         the true headers, half of the body, a reset
    strip_condition  forwards without If-None-Match: a server that ignores create-only writes
    swallow          200 and nothing else, as a portal or a broken cache answers; the server sees nothing
    strip_etag       the true answer without its ETag
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import struct
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CODES = {"503": "SlowDown", "500": "InternalError", "409": "ConditionalRequestConflict", "403": "AccessDenied",
         "404": "NotFound"}  # fmt: skip
HOP_BY_HOP = {"connection", "expect", "transfer-encoding", "keep-alive"}


@dataclass
class Rule:
    """What to do to which requests. The first rule that applies acts; later ones do not see that request.

    Attributes:
        action: See the module.
        method: Only requests with this method.
        part: Only requests whose path and query hold this text.
        without: Only requests whose path and query do not hold this text.
        hits: Only the n-th matching requests, from 1; None for all.
    """

    action: str
    method: str | None = None
    part: str = ""
    without: str | None = None
    hits: set[int] | None = None
    seen: int = field(default=0, init=False)

    def applies(self, method: str, path: str) -> bool:
        if self.method not in {None, method} or self.part not in path or (self.without and self.without in path):
            return False
        self.seen += 1
        return self.hits is None or self.seen in self.hits


class FaultProxy:
    """The running proxy.

    Attributes:
        url: Where clients connect.
        log: (method, path, action or None) of every request.
    """

    def __init__(self, upstream: str, rules: Iterable[Rule] = ()) -> None:
        self.rules = list(rules)
        self.log: list[tuple[str, str, str | None]] = []
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def pick(self, method: str, path: str) -> str | None:
        with self._lock:
            action = next((rule.action for rule in self.rules if rule.applies(method, path)), None)
            self.log.append((method, path, action))
            return action

    def hurt(self) -> int:
        """Return how many requests were broken."""
        return sum(action is not None for _, _, action in self.log)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: FaultProxy

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that give up are the point."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client's delayed ACK
    server: _Server

    def handle_expect_100(self) -> bool:
        """Leave it to `_handle`, which may refuse first."""
        return True

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def _handle(self) -> None:
        action = self.server.proxy.pick(self.command, self.path) or ""
        expects = "Expect" in self.headers
        if action.startswith("status:"):
            if expects:  # as real servers do: no "100 Continue", and the body is not read
                self.close_connection = True
            else:
                self._body()
            return self._refuse(action.removeprefix("status:"))
        if expects:
            self.send_response_only(100)
            self.end_headers()
        body = self._body()
        if action == "reset_request":
            return self._reset()
        if action == "swallow":
            self.send_response_only(200)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        return self._pass_on(body, action)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815 - named by http.server

    def _pass_on(self, body: bytes, action: str) -> None:
        if action.startswith("stall:"):
            time.sleep(float(action.removeprefix("stall:")))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
        if action == "strip_condition":
            headers = {name: value for name, value in headers.items() if name.lower() != "if-none-match"}
        status, answered, answer = self._forward(body, headers)
        if action == "drop_response":
            return self._reset()
        self.send_response_only(status)
        for name, value in answered:
            dropped = HOP_BY_HOP | {"content-length"} | ({"etag"} if action == "strip_etag" else set())
            if name.lower() not in dropped:
                self.send_header(name, value)
        length = dict(answered).get("Content-Length") if self.command == "HEAD" else str(len(answer))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if action == "truncate":
            self.wfile.write(answer[: len(answer) // 2])
            self.wfile.flush()
            time.sleep(0.02)  # let the half arrive before the reset overtakes it
            return self._reset()
        self.wfile.write(answer)
        return None

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(chunks)

    def _forward(self, body: bytes, headers: dict[str, str]) -> tuple[int, list[tuple[str, str]], bytes]:
        with contextlib.closing(http.client.HTTPConnection(self.server.proxy.upstream, timeout=60)) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                upstream.putheader(name, value)
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()

    def _refuse(self, status: str) -> None:
        code = CODES.get(status, "ServiceUnavailable")
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self.send_response_only(int(status), "Injected")
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        """Close with RST, as a dying server or a cut line does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.close()
