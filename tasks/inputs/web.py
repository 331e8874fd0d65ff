"""Single files over http and https: bounded in bytes while they arrive, and in time as a whole.

A redirect leads to http and https alone. Only what may pass is tried again: a link that leads nowhere, or is answered
by what is no HTTP, cannot be read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
import urllib.parse
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
import yarl
from fsspec.asyn import get_loop, sync

from nst.errors import InputError
from tasks.store.contract import Stat, UnreadableError
from tasks.store.patience import CONNECT_SECONDS, PassingError, Patience, UnreachableError, persist
from tasks.store.transport import NO_CONNECTION, may_pass

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from nst.config.locations import Location

SLOWEST: Final = 100_000.0
"""Bytes per second below which a transfer counts as too slow, once the patience has passed."""

_PASSING_STATUS: Final = frozenset((408, 425, 429))
_NO_HEAD: Final = frozenset((403, 405, 501))
"""Answers to HEAD of sites that answer GET: a signed link is mostly signed for GET alone."""

_HINT: Final = "open the link in a browser"
_PIECE: Final = 1 << 20
_LITERAL: Final = "".join(map(chr, range(0x21, 0x7F)))
"""The characters of a link that are sent as they are, among them the percent signs of what is quoted already."""

T = TypeVar("T")


def read_web(location: Location, max_bytes: int | None, patience: Patience) -> bytes:
    """Return the bytes behind an http(s) link. Errors: as `read_uri`."""
    return bytes(_fetch(location, max_bytes, patience, bytearray, bytearray.extend))


def digest_web(location: Location, max_bytes: int | None, patience: Patience) -> str:
    """Return the SHA-256 of what is behind an http(s) link, hex. Errors: as `read_uri`."""
    return _fetch(location, max_bytes, patience, hashlib.sha256, lambda digest, piece: digest.update(piece)).hexdigest()


def stat_web(location: Location, patience: Patience) -> Stat:
    """Return size and etag, or the date in place of the etag; "" if there is neither. Errors: as `read_uri`."""

    async def look(answer: aiohttp.ClientResponse) -> Stat:
        etag = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
        return Stat(str(location), answer.content_length or 0, etag.strip('"'))

    return _ask(location, "HEAD", look, patience)


def _fetch(
    location: Location,
    max_bytes: int | None,
    patience: Patience,
    make: Callable[[], T],
    add: Callable[[T, bytes], object],
) -> T:
    """Return what `make` makes and `add` adds all bytes to.

    The body has the seconds of the patience, and those that its bytes take at the slowest rate: a body of any size may
    come slowly, but none drop by drop.
    """

    async def read(answer: aiohttp.ClientResponse) -> T:
        announced = answer.content_length
        if max_bytes is not None and (announced or 0) > max_bytes:
            raise _too_large(location, max_bytes)
        done, size, begin = make(), 0, time.monotonic()
        while piece := await _next_piece(answer, patience.deadline + size / SLOWEST - (time.monotonic() - begin)):
            add(done, piece)
            size += len(piece)
            if max_bytes is not None and size > max_bytes:
                raise _too_large(location, max_bytes)
        if announced is not None and size != announced:
            raise PassingError(f"{size} of {announced} bytes arrived")
        return done

    return _ask(location, "GET", read, patience)


def _too_large(location: Location, max_bytes: int) -> UnreadableError:
    return UnreadableError(f"{location} has more than the {max_bytes:,} bytes that are read")


async def _next_piece(answer: aiohttp.ClientResponse, seconds: float) -> bytes:
    """Return the next bytes of a body, none at its end.

    Raises:
        UnreadableError: They do not come within these seconds.
    """
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            return await answer.content.read(_PIECE)
    except aiohttp.ServerTimeoutError:
        raise
    except TimeoutError:
        raise UnreadableError(f"{answer.url} comes too slowly, and is given up") from None


def _ask(
    location: Location, method: str, use: Callable[[aiohttp.ClientResponse], Awaitable[T]], patience: Patience
) -> T:
    """Return what `use` returns for the answer."""
    link = _link(location)

    def once() -> T:
        try:
            answer: T = sync(get_loop(), _answer, link, method, use, patience)
        except NO_CONNECTION as error:
            raise UnreachableError(f"no connection to {link.authority} ({type(error).__name__})") from error
        except (aiohttp.RedirectClientError, aiohttp.TooManyRedirects):
            raise UnreadableError(f"{location} leads on to no link that can be read", hint=_HINT) from None
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            if may_pass(error):
                raise PassingError(type(error).__name__) from error
            raise UnreadableError(f"{location} is answered by what is no HTTP", hint=_HINT) from None
        return answer

    return persist(once, patience, f"{method} {location}", link.authority)


def _link(location: Location) -> yarl.URL:
    """Return a location as it is asked for.

    Raises:
        InputError: It is no link, whatever any server says.
    """
    with contextlib.suppress(ValueError):
        link = yarl.URL(urllib.parse.quote(str(location), safe=_LITERAL), encoded=True)
        if link.host and link.port and link.host.encode("idna"):  # as the look-up of its address does
            return link
    raise InputError(f"{location} is not a valid link", hint="write https://host/path")


async def _answer(
    link: yarl.URL, method: str, use: Callable[[aiohttp.ClientResponse], Awaitable[T]], patience: Patience
) -> T:
    limits = aiohttp.ClientTimeout(
        total=None, sock_connect=min(patience.stall, CONNECT_SECONDS), sock_read=patience.stall
    )
    session = aiohttp.ClientSession(
        timeout=limits,
        trust_env=True,
        auto_decompress=False,
        headers={"User-Agent": "nst"},
        skip_auto_headers=["Accept"],
    )
    async with session:
        async with asyncio.timeout(patience.deadline):  # headers may come drop by drop as well
            answer = await session.request(
                method, link, headers={"Accept-Encoding": "identity"}, allow_redirects=True, max_redirects=10
            )
            if method == "HEAD" and answer.status in _NO_HEAD:
                answer.close()
                answer = await session.get(link, headers={"Accept-Encoding": "identity"})
        async with answer:
            if 500 <= answer.status < 600 or answer.status in _PASSING_STATUS:
                raise PassingError(f"HTTP {answer.status}")
            if 400 <= answer.status < 500:
                raise InputError(f"{link}: HTTP {answer.status}", hint=_HINT)
            if not 200 <= answer.status < 300:
                raise UnreadableError(f"{link}: HTTP {answer.status}, expected 200", hint=_HINT)
            return await use(answer)
