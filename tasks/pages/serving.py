"""A small web server for the pages of a root, which this machine alone can ask: a browser needs none for local folders.

It answers GET and HEAD for pages, pictures and thumbnails. Any web page that a browser shows may send requests to this
address, so that each request must name it: a page whose own name was made to point here (DNS rebinding) names another
`Host`, and a script of another page names itself as `Origin`. What is answered may not be embedded by others
(`Cross-Origin-Resource-Policy`).

It writes one thing, votes and annotations (`tasks.pages.choices`), and reads them back, to whom has its token. The
token is another at each start. It stands behind the `#` of the address that is printed, which browsers send to nobody;
the page takes it out of the address, and sends it in a header, which no other page can make a browser send. So other
users of this machine, who can reach the port, see pictures and write nothing.
"""

from __future__ import annotations

import hmac
import json
import mimetypes
import re
import secrets
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from nst.errors import NstError, UserError
from tasks.layout import PICTURES, PREVIEWS, THUMBNAILS
from tasks.pages.choices import MOST_BYTES, read_said
from tasks.pages.news import head_of
from tasks.store.contract import check_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from tasks.pages.choices import Choices
    from tasks.store import Store

PAGES: Final = "gallery/"
_PUBLIC: Final = (PAGES, PICTURES, PREVIEWS, THUMBNAILS)
_KINDS: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".webp": "image/webp"}
_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]*)")
_BEYOND: Final = 10**18
"""No object has as many bytes."""

_CHOICES: Final = "choices"
"""Where votes and annotations are read and sent to."""

_NOW: Final = "now"
"""Where a page asks which page is to be shown now."""

_JSON: Final = "application/json"
_SILENCE_S: Final = 90.0
"""After which a run that says nothing has probably been killed."""


class PageServer(ThreadingHTTPServer):
    """Serves the pages of a root on 127.0.0.1.

    Args:
        store: The objects of the root.
        home: Key of the page that the bare address leads to; may be set anew at any time. The port is bound before the
            first is written.
        port: 0 for any free one.
        choices: Votes and annotations of the root; None if nothing may be written.

    Raises:
        UserError: The port is taken.
    """

    daemon_threads = True
    request_queue_size = 64
    """Connections that may wait; a page of many thumbnails opens more than the 5 of socketserver."""

    told: Callable[[str], None] | None = None
    """Is told once when what pages send can no longer be kept, until it can again."""

    def __init__(self, store: Store, home: str = "", port: int = 0, choices: Choices | None = None) -> None:
        self.store, self.home, self.choices = store, home, choices
        self._token = secrets.token_urlsafe(24)
        self._failing = False
        self.folder = Path(store.uri.removeprefix("file://")).resolve() if store.uri.startswith("file://") else None
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}", hint="pass another --port") from error

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that leaves before it has its answer."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def take(self, body: bytes) -> tuple[HTTPStatus, str]:
        """Keep what a page sent, and return how it went: a status, and why not."""
        assert self.choices
        try:
            said = read_said(body)
        except UserError as error:
            return HTTPStatus.BAD_REQUEST, str(error)
        try:
            self.choices.take(said)
        except (OSError, NstError) as error:
            if self.told and not self._failing:
                self.told(f"votes and notes cannot be kept: {error}")
            self._failing = True
            return HTTPStatus.BAD_GATEWAY, str(error)
        self._failing = False
        return HTTPStatus.NO_CONTENT, ""

    @property
    def address(self) -> str:
        """The address of the server, http://127.0.0.1:port."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def link(self) -> str:
        """The address with the token behind its `#`."""
        return f"{self.address}/#token={self._token}" if self.choices else self.address

    def knows(self, authorization: str) -> bool:
        """Return whether a header names the token; it takes equally long for every wrong one of a length."""
        return hmac.compare_digest(authorization.encode("latin-1", "replace"), f"Bearer {self._token}".encode())

    @property
    def now(self) -> bytes:
        """JSON of the page that is to be shown now, and of the run that follows it, "" if none does."""
        head = head_of(self.store, self.home.rpartition("/")[0])  # None: no run has begun since the page was written
        going = head and not head.ended and not (head.at and time.time() - head.at > _SILENCE_S)
        return json.dumps({"home": self.home, "run": head.run if head and going else ""}).encode()

    @property
    def hosts(self) -> tuple[str, str]:
        """What a request may name as `Host`."""
        return f"127.0.0.1:{self.server_address[1]}", f"localhost:{self.server_address[1]}"

    def read(self, key: str) -> bytes:
        """Return a public object.

        Raises:
            FileNotFoundError: There is none, or what lies there is a link to something else.
        """
        if not key.startswith(_PUBLIC):
            raise FileNotFoundError(key)
        try:
            check_key(key)
        except ValueError as error:
            raise FileNotFoundError(key) from error
        if self.folder:
            file = self.folder / key
            if file.resolve() != file or not file.is_file():
                raise FileNotFoundError(key)
        return self.store.get(key)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version = "nst"
    sys_version = ""
    timeout = 60.0
    """Seconds that a browser may take to send what it announced."""

    def do_GET(self) -> None:
        """Answer with an object, to who may ask for it."""
        origin = self.headers.get("Origin", f"http://{self.server.hosts[0]}").removeprefix("http://")
        key = self._key()
        if not {self.headers.get("Host"), origin} <= {*self.server.hosts}:
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not key:
            self._answer(HTTPStatus.FOUND, b"", {"Location": f"/{self.server.home}"})
        elif key in {_CHOICES, _NOW}:
            self._tell(key)
        elif key == "favicon.ico":  # browsers ask for it, and call it an error if there is none
            self._answer(HTTPStatus.NO_CONTENT, b"", {})
        else:
            try:
                self._give(key, self.server.read(key))
            except OSError:  # nothing is there, or a name is too long for a file
                self._refuse(HTTPStatus.NOT_FOUND)
            except NstError:
                self._refuse(HTTPStatus.BAD_GATEWAY)

    def do_POST(self) -> None:
        """Take votes and annotations, from who may send them; whatever else is sent is not even read."""
        self.close_connection = True  # what is not read would be taken for the next request
        if self.server.choices is None:
            self._refuse(HTTPStatus.NOT_IMPLEMENTED)
        elif fault := self._fault():
            self._refuse(fault)
        else:
            status, why = self.server.take(self.rfile.read(int(self.headers["Content-Length"])))
            self._answer(status, why.encode(), {"Content-Type": "text/plain; charset=utf-8"} if why else {})

    def _key(self) -> str:
        """Return the key that a request names, "" for the bare address."""
        try:
            return unquote(urlsplit(self.path).path).removeprefix("/")
        except ValueError:
            return "no address"  # is no key that anybody serves

    def _fault(self) -> HTTPStatus | None:
        """Return why a request that wants to write is refused; None if it is not."""
        hosts, length = self.server.hosts, self.headers.get("Content-Length", "")
        here = self.headers.get("Host") in hosts and self.headers.get("Origin") in {f"http://{host}" for host in hosts}
        if not here or not self.server.knows(self.headers.get("Authorization", "")):
            return HTTPStatus.FORBIDDEN
        if self.path != f"/{_CHOICES}":
            return HTTPStatus.NOT_FOUND
        if self.headers.get("Content-Type") != _JSON:
            return HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        if not re.fullmatch(r"[0-9]{1,9}", length) or "Transfer-Encoding" in self.headers:
            return HTTPStatus.LENGTH_REQUIRED
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE if int(length) > MOST_BYTES else None

    def _tell(self, key: str) -> None:
        """Answer with what the page asks for itself."""
        choices = self.server.choices
        if choices is None:
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not self.server.knows(self.headers.get("Authorization", "")):
            self._refuse(HTTPStatus.FORBIDDEN)
        else:
            try:
                body = choices.all() if key == _CHOICES else self.server.now
            except (OSError, NstError):
                self._refuse(HTTPStatus.BAD_GATEWAY)
            else:
                self._answer(HTTPStatus.OK, body, {"Content-Type": _JSON, "Cache-Control": "no-store"})

    def _give(self, key: str, data: bytes) -> None:
        """Answer with an object, or with the part of it that is asked for: players ask for parts of clips."""
        suffix = Path(key).suffix
        headers = {"Content-Type": _KINDS.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")}
        headers["Accept-Ranges"] = "bytes"
        # Pictures are named by their digests, and previews by their cells: they never change.
        headers["Cache-Control"] = "no-store" if key.startswith(PAGES) else "max-age=31536000, immutable"
        if key.startswith(PAGES) and self.server.choices:  # a page keeps under this name what it has not sent yet
            headers["Server-Timing"] = f'root;desc="{self.server.choices.root_id}"'
        part = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not part:
            self._answer(HTTPStatus.OK, data, headers)
            return
        first = _place(part[1])
        last = min(_place(part[2]) if part[2] else _BEYOND, len(data) - 1)
        if first > last:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
        self._answer(HTTPStatus.PARTIAL_CONTENT, data[first : last + 1], headers)

    do_HEAD = do_GET  # noqa: N815  the name that http.server looks for

    def _refuse(self, status: HTTPStatus) -> None:
        self._answer(status, status.phrase.encode(), {"Content-Type": "text/plain"})

    def _answer(self, status: HTTPStatus, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        safe = {"X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"}
        for name, value in {**headers, **safe, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing: requests are many."""


def _place(digits: str) -> int:
    """Return a place in an object; of more digits than Python reads, one that no object has."""
    return int(digits) if len(digits) < len(str(_BEYOND)) else _BEYOND
