"""Texts as they may be stored and shown: without the credentials that the locations in them carry."""

from __future__ import annotations

import re
from typing import Final

_END: Final = r"""\s"'<>{}\[\]\\"""
"""Characters that end a location within a text."""

_QUERY: Final = re.compile(
    rf"(?:(?<=https://)|(?<=http://))([^?#{_END}]{{1,4096}})[?#][^{_END}]*?(?=[),.;:!]*(?:[{_END}]|$))", re.IGNORECASE
)
"""The query and the fragment of a link: a signed link carries its signature there."""

_USER: Final = re.compile(
    rf"(?:(?<=https://)|(?<=http://)|(?<=s3://)|(?<=gs://))[^/?#@{_END}]{{1,4096}}@", re.IGNORECASE
)
"""A user name before a host or a bucket, with a password or without. A container of `abfs://` looks like one."""

_PASSWORD: Final = re.compile(rf"(?<=://)(?![^/]*\])[^/?#@{_END}]*:(?!\d*(?:[/?#),.;:!]|[{_END}]|$))[^{_END}]*")
"""What begins like a user name with a password, up to the end of the location: a password may contain slashes."""


def redacted(text: str) -> str:
    """Return a text in which no location has a user name, a password, a query or a fragment.

    Queries and fragments are cut off from http and https links alone, since elsewhere `?` and `#` are parts of names.
    """
    text = _PASSWORD.sub(lambda match: match[0].rpartition("@")[2] if "@" in match[0] else "...", text)
    return _QUERY.sub(r"\1", _USER.sub("", text))
