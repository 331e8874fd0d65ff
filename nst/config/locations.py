"""Locations: the one place that turns a text into a protocol and a path, for manifests, inputs and stores alike.

Whoever checks a location and whoever opens it parse it here, so that no spelling means one thing to the check and
another to the use. A local path is taken literally: neither `%2e` nor a backslash has a meaning in it.
"""

from __future__ import annotations

import difflib
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT_SCHEMES: Final = ("file", "s3", "gs", "az", "abfs", "memory")
"""Protocols of a root: those whose objects can be written."""

INPUT_SCHEMES: Final = (*ROOT_SCHEMES, "http", "https")
"""Protocols of a manifest's inputs: those whose objects can be read."""

WEB_SCHEMES: Final = frozenset(("http", "https"))

_NAMES_CONTAINER: Final = frozenset(("az", "abfs"))
"""Protocols that write a container as `container@account`."""

_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]*\]|[^:@\[\]]*)(:\d*)?")
"""A host of the web with or without a port."""


_LIKE_A_URI: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)(:/|:|//)")
"""How a URI begins of which a slash or the colon was forgotten."""


class LocationError(ValueError):
    """A text that is no location, or not one that may be named here.

    Args:
        message: What was found, without credentials.
        hint: What to write instead.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Location:
    """Where a file, an object or a folder of them lies.

    Attributes:
        scheme: The protocol in lower case, `file` for a local path.
        path: A local path as it was written, perhaps relative or beginning with `~`; elsewhere all that follows `://`.
    """

    scheme: str
    path: str

    @property
    def is_local(self) -> bool:
        """Whether it is a path of this machine."""
        return self.scheme == "file"

    @property
    def host(self) -> str:
        """The bucket, container or host; of a local path "/" or nothing."""
        return self.path.partition("/")[0]

    @property
    def key(self) -> str:
        """What follows bucket, container or host, without the slash between them."""
        return self.path.partition("/")[2]

    @property
    def bare(self) -> str:
        """The path; of a link, without its query."""
        return re.split("[?#]", self.path, maxsplit=1)[0] if self.scheme in WEB_SCHEMES else self.path

    @property
    def ending(self) -> str:
        """The ending of the name with its dot, such as `.png`, in small letters."""
        return posixpath.splitext(self.bare)[1].lower()

    @property
    def folder(self) -> Location:
        """The folder that it lies in; of a link, without its query."""
        folder, slash, _ = self.bare.rpartition("/")
        return Location(self.scheme, folder or (slash if self.is_local else self.bare) or ".")

    def __str__(self) -> str:
        return self.path if self.is_local else f"{self.scheme}://{self.path}"

    def join(self, text: str) -> Location:
        """Return the location that a text names which stands in a file of this folder.

        Raises:
            LocationError: It is no location; or it is a local one, and this folder is not.
        """
        other = parse_location(text)
        if not other.is_local:
            return other
        absolute = other.path.startswith(("/", "~"))
        if self.is_local:
            return other if absolute else Location("file", posixpath.join(self.path, other.path))
        if absolute:
            raise LocationError(
                f"{redacted(text)} is a local file, and the manifest came from elsewhere",
                "name inputs by their own URI, or pass --inputs with the folder that it may read",
            )
        path = f"{self.key}/{other.path}".lstrip("/")
        if ".." in path.split("/"):
            path = posixpath.normpath(f"/{path}").lstrip("/") + ("/" if path.endswith("/") else "")
        return parse_location(f"{self.scheme}://{self.host}/{path}")


def parse_location(text: str, schemes: Sequence[str] = INPUT_SCHEMES) -> Location:
    """Return the location that a text names.

    Args:
        text: A local path, or a URI of one of the protocols, whose case does not matter. A file may be written as
            `file:///path`, `file://localhost/path` or `file:/path`.
        schemes: The protocols that are spoken.

    Raises:
        LocationError: The protocol is unknown or lacks its slashes, the URI has a user name or a password, the text is
            empty, or it has characters that no name has.
    """
    if not text or "\0" in text:
        raise LocationError(f"found {text[:40]!r}", "expected a path or a URI such as s3://bucket/folder/photo.jpg")
    before, found, rest = text.partition("://")
    scheme = before.lower()
    if not found:
        return _without_mark(text, schemes)
    if scheme not in schemes:
        raise _unknown(before, schemes)
    if scheme == "file":
        return _file(rest)
    _check_host(scheme, rest)
    if re.search(r"[\x00-\x1f\x7f]", rest):
        raise LocationError(f"a control character in a URI of {scheme}://", "write it as %0A or the like")
    return Location(scheme, rest)


def check_uri(text: str) -> str:
    """Return a text that names a location, as it is; errors as `parse_location`."""
    parse_location(text)
    return text


def _without_mark(text: str, schemes: Sequence[str]) -> Location:
    """Return the local path that a text without `://` is; a mistyped URI is none, or a folder would get its name."""
    begins = _LIKE_A_URI.match(text)
    if not begins:
        return Location("file", _one_slash(text))
    found, scheme, mark = begins[0], begins[1].lower(), begins[2]
    if scheme == "file" and mark == ":/":
        return Location("file", _one_slash(text.partition(":")[2]))
    if scheme in INPUT_SCHEMES:
        lacks = "without its colon" if mark == "//" else "without its two slashes"
        raise LocationError(f"{found} {lacks}", f"write {scheme}://, or ./{found} for a local path")
    if mark == ":/":
        raise _unknown(begins[1], schemes)
    return Location("file", _one_slash(text))


def _file(rest: str) -> Location:
    host, slash, path = rest.partition("/")
    if host.lower() not in {"", "localhost"} or not slash:
        raise LocationError(f"file:// with the host {host[:40]!r}", "write the path alone, or file:///path")
    return Location("file", _one_slash(f"/{path}"))


def _one_slash(path: str) -> str:
    return re.sub("^/+", "/", path)


def _unknown(scheme: str, known: Sequence[str]) -> LocationError:
    close = difflib.get_close_matches(scheme.lower()[:40], known, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}://? " if close else ""
    return LocationError(f"unknown protocol {scheme[:40]}://", f"{guess}known: a local path, {', '.join(known)}")


def _check_host(scheme: str, rest: str) -> None:
    """Refuse a user name or a password, without repeating it."""
    host = re.split("[/?#]", rest, maxsplit=1)[0]
    if scheme in WEB_SCHEMES:
        plain = _HOST.fullmatch(host) is not None
    else:
        plain = ":" not in host and ("@" not in host or scheme in _NAMES_CONTAINER)
    if not plain:
        raise LocationError(
            f"a URI of {scheme}:// with a user name or a password",
            "leave it out; credentials come from the environment",
        )
