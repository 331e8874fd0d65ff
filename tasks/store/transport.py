"""Which errors of a connection may pass, told from those that come again however often one asks."""

from __future__ import annotations

import errno
import ssl
from typing import Final

import aiohttp

NO_CONNECTION: Final = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
"""No connection was made: an unknown host, a closed port, a certificate or proxy that refuses."""

_PASSING: Final = (
    aiohttp.ClientConnectionError,  # reset, closed, timed out
    aiohttp.ClientPayloadError,  # the body was cut
    ConnectionError,
    TimeoutError,
    ssl.SSLError,
)
_PASSING_NUMBERS: Final = frozenset((
    errno.EAGAIN, errno.EINTR, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN, errno.ENETRESET,
    errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH,
))  # fmt: skip


def may_pass(error: object) -> bool:
    """Return whether an attempt that ended with this error may succeed when it is made again.

    What is not known to pass does not: an answer that is no HTTP, a certificate file that is absent, an address that
    cannot be one.
    """
    return isinstance(error, _PASSING) or (isinstance(error, OSError) and error.errno in _PASSING_NUMBERS)
