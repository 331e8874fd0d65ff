"""Single files over http and https: read with a limit while the bytes arrive, never more than was allowed."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, TypeVar

from nst.errors import InputError
from tasks.store.contract import Stat
from tasks.store.names import printable
from tasks.store.patience import PassingError, Patience, persist

if TYPE_CHECKING:
    from collections.abc import Callable

_PASSING_STATUS = {408, 425, 429}
_CHUNK = 1 << 20
T = TypeVar("T")


def read_web(uri: str, max_bytes: int | None, patience: Patience) -> bytes:
    """Return the bytes behind an http(s) link. Errors: as `read_uri`."""

    def read(answer: http.client.HTTPResponse) -> bytes:
        limit = max_bytes if max_bytes is not None else 1 << 62
        announced = answer.headers.get("Content-Length", "")
        if announced.isdigit() and int(announced) > limit:
            raise _too_large(uri, limit)
        parts: list[bytes] = []
        while part := answer.read(_CHUNK):
            parts.append(part)
            if sum(map(len, parts)) > limit:
                raise _too_large(uri, limit)
        data = b"".join(parts)
        if announced.isdigit() and len(data) != int(announced):
            raise PassingError(f"{len(data)} of {announced} bytes arrived")
        return data

    return _ask(uri, "GET", read, patience)


def stat_web(uri: str, patience: Patience) -> Stat:
    """Return what HEAD says; the etag falls back on the date, then the size. Errors: as `read_uri`."""

    def look(answer: http.client.HTTPResponse) -> Stat:
        size = answer.headers.get("Content-Length", "0")
        etag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or size
        return Stat(uri, int(size), etag.strip('"'))

    return _ask(uri, "HEAD", look, patience)


def _too_large(uri: str, limit: int) -> InputError:
    return InputError(f"{printable(uri)} has more than the {limit:,} bytes that are read")


def _ask(uri: str, method: str, use: Callable[[http.client.HTTPResponse], T], patience: Patience) -> T:
    def once() -> T:
        try:
            request = urllib.request.Request(uri, method=method, headers={"User-Agent": "nst"})  # noqa: S310
            with urllib.request.urlopen(request, timeout=patience.stall) as answer:  # noqa: S310 - the caller checked
                return use(answer)
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500 or error.code in _PASSING_STATUS:
                    raise PassingError(f"HTTP {error.code}") from None
                raise InputError(f"{printable(uri)}: HTTP {error.code}", hint="open the link in a browser") from None
        except (http.client.InvalidURL, ValueError):
            raise InputError(f"{printable(uri)} is not a valid link") from None
        except (OSError, http.client.HTTPException) as error:
            raise PassingError(type(error).__name__) from error

    return persist(once, patience, f"{method} {printable(uri)}")
