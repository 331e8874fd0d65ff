"""Addresses in a page that may be opened from a folder, a bucket or a web server."""

from __future__ import annotations

import posixpath
from typing import Any
from urllib.parse import quote


def relative(uri: Any, page_uri: str) -> str | None:
    """Return the URL of a file for a page at `page_uri`: relative if both lie in one bucket or file system.

    Characters with a meaning in URLs are escaped. Of a file elsewhere the whole URI is returned if a browser can follow
    it (http, https, file), and None otherwise: a page must not hold a link that runs code.
    """
    if not isinstance(uri, str) or not uri:
        return None
    place, path = _split(uri)
    page_place, page_path = _split(page_uri)
    if place == page_place:
        found = quote(posixpath.relpath(path, posixpath.dirname(page_path)), safe="/~!$'()*,;=@+")
        return f"./{found}" if ":" in found.split("/")[0] else found
    if place.partition(":")[0] in {"http", "https", "file"}:
        return place + quote(path, safe="/~!$'()*,;=@+%?&")
    return None


def _split(uri: str) -> tuple[str, str]:
    """Return ("s3://bucket", "/key"), or ("file://", "/path"), also for a bare path."""
    scheme, found, rest = uri.partition("://")
    if not found:
        return "file://", posixpath.normpath("/" + uri)
    if scheme == "file":
        return "file://", posixpath.normpath("/" + rest.removeprefix("localhost"))
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}", "/" + path
