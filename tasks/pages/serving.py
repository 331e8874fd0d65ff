"""A small web server for the pages of a root, which this machine alone can ask: a browser needs none for local folders.

It answers GET and HEAD for pages, pictures and thumbnails, and nothing else: it writes nothing. Any web page that a
browser shows may send requests to this address, so that each request must name it: a page whose own name was made to
point here (DNS rebinding) names another `Host`, and a script of another page names itself as `Origin`. What is answered
may not be embedded by others (`Cross-Origin-Resource-Policy`).
"""

from __future__ import annotations

import mimetypes
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from nst.errors import NstError, UserError
from tasks.layout import PICTURES, PREVIEWS, THUMBNAILS
from tasks.store.contract import check_key

if TYPE_CHECKING:
    from tasks.store import Store

PAGES: Final = "gallery/"
_PUBLIC: Final = (PAGES, PICTURES, PREVIEWS, THUMBNAILS)
_KINDS: Final = {".html": "text/html; charset=utf-8", ".js": "text/javascript", ".webp": "image/webp"}
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


class PageServer(ThreadingHTTPServer):
    """Serves the pages of a root on 127.0.0.1.

    Args:
        store: The objects of the root.
        home: Key of the page that the bare address leads to.
        port: 0 for any free one.

    Raises:
        UserError: The port is taken.
    """

    daemon_threads = True

    def __init__(self, store: Store, home: str, port: int = 0) -> None:
        self.store, self.home = store, home
        self.folder = Path(store.uri.removeprefix("file://")).resolve() if store.uri.startswith("file://") else None
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}", hint="pass another --port") from error

    @property
    def address(self) -> str:
        """The address of the server, http://127.0.0.1:port."""
        return f"http://127.0.0.1:{self.server_address[1]}"

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

    def do_GET(self) -> None:
        """Answer with an object, to who may ask for it."""
        origin = self.headers.get("Origin", f"http://{self.server.hosts[0]}").removeprefix("http://")
        key = unquote(urlsplit(self.path).path).removeprefix("/")
        if not {self.headers.get("Host"), origin} <= {*self.server.hosts}:
            self._refuse(HTTPStatus.FORBIDDEN)
        elif not key:
            self._answer(HTTPStatus.FOUND, b"", {"Location": f"/{self.server.home}"})
        elif key == "favicon.ico":  # browsers ask for it, and call it an error if there is none
            self._answer(HTTPStatus.NO_CONTENT, b"", {})
        else:
            try:
                self._give(key, self.server.read(key))
            except OSError:  # nothing is there, or a name is too long for a file
                self._refuse(HTTPStatus.NOT_FOUND)
            except NstError:
                self._refuse(HTTPStatus.BAD_GATEWAY)

    def _give(self, key: str, data: bytes) -> None:
        """Answer with an object, or with the part of it that is asked for: players ask for parts of clips."""
        suffix = Path(key).suffix
        headers = {"Content-Type": _KINDS.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")}
        headers["Accept-Ranges"] = "bytes"
        # Pictures are named by their digests, and previews by their cells: they never change.
        headers["Cache-Control"] = "no-store" if key.startswith(PAGES) else "max-age=31536000, immutable"
        part = _RANGE.fullmatch(self.headers.get("Range", ""))
        if not part:
            self._answer(HTTPStatus.OK, data, headers)
            return
        first, last = int(part[1]), min(int(part[2] or len(data) - 1), len(data) - 1)
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
