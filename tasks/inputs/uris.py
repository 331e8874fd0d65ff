"""Inputs anywhere: read, stat and glob what a manifest names, in files, buckets, memory and on the web.

Only known protocols are spoken. Messages show a URI without user names, passwords and query (signed links carry their
signature there).
"""

from __future__ import annotations

import glob
import os
import re
from typing import TYPE_CHECKING

from nst.config.locations import INPUT_SCHEMES
from nst.errors import InputError
from tasks.store.contract import Stat, Store, check_key
from tasks.store.local import stat_of
from tasks.store.names import local_path, scheme_of, unknown_scheme
from tasks.store.opening import open_store
from tasks.store.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff",
    ".webp",
})  # fmt: skip
_MAGIC = re.compile(r"[*?\[]")


def read_uri(uri: str, *, max_bytes: int | None = None, patience: Patience | None = None) -> bytes:
    """Return the bytes of one file or object.

    Args:
        uri: A local path or a URI.
        max_bytes: Refuse more than this many bytes; what is announced too large is not fetched.
        patience: Limits of the retries.

    Raises:
        InputError: Absent, too large, or an unknown protocol.
        StorageError: The store or site did not answer before the deadline.
    """
    if scheme_of(uri) in {"http", "https"}:
        from tasks.inputs.web import read_web

        return read_web(uri, max_bytes, patience or Patience())
    store, key = _locate(uri, patience)
    try:
        return store.get(key, max_bytes=max_bytes)
    except FileNotFoundError:
        raise _absent(uri) from None


def stat_uri(uri: str, *, patience: Patience | None = None) -> Stat:
    """Return size and etag of one file or object, with the URI as its key. Errors: as `read_uri`."""
    if scheme_of(uri) in {"http", "https"}:
        from tasks.inputs.web import stat_web

        return stat_web(uri, patience or Patience())
    store, key = _locate(uri, patience)
    found = store.head(key)
    if found is None:
        raise _absent(uri)
    return Stat(uri, found.size, found.etag)


def glob_uri(pattern: str, *, patience: Patience | None = None) -> list[Stat]:
    """Return what a URI, glob or prefix names, sorted, with full URIs as keys (plain paths stay plain paths).

    An existing file or object is itself, whatever characters its name holds. A folder or prefix is all image files
    below it. A glob knows `*`, `?`, `[a-z]` within one name and `**` across folders; unless its last part spells an
    extension, it too finds image files only. Hidden files are found only by patterns that spell the dot.

    Raises:
        InputError: Nothing is found, or an unknown protocol.
        StorageError: The store did not answer before the deadline.
    """
    scheme = scheme_of(pattern)
    if scheme in {"http", "https"}:
        return [stat_uri(pattern, patience=patience)]
    if scheme not in INPUT_SCHEMES:
        raise unknown_scheme(pattern, INPUT_SCHEMES)
    found = _glob_local(pattern, patience) if scheme == "file" else _glob_objects(pattern, patience)
    if not found:
        what = "matches no file" if _MAGIC.search(pattern) else "names no file and no folder with images"
        raise InputError(f"{pattern} {what}", hint="check the path; a prefix or folder stands for the images below it")
    return sorted(found, key=lambda stat: stat.key)


def _locate(uri: str, patience: Patience | None) -> tuple[Store, str]:
    """Return the store of a URI's folder or bucket, and the key there."""
    scheme = scheme_of(uri)
    if scheme not in INPUT_SCHEMES:
        raise unknown_scheme(uri, INPUT_SCHEMES)
    path = os.path.abspath(local_path(uri)) if scheme == "file" else uri.partition("://")[2]  # noqa: PTH100
    root, slash, key = path.rpartition("/") if scheme in {"file", "memory"} else path.partition("/")
    if not key or (not slash and scheme != "memory"):
        raise InputError(f"{uri!r} names no file or object", hint="write e.g. s3://bucket/folder/photo.jpg")
    _check_input_key(key, uri)
    if scheme == "file":
        return open_store(root or "/", patience), key
    return open_store(f"{scheme}://{root}", patience), key


def _check_input_key(key: str, uri: str) -> None:
    try:
        check_key(key)
    except ValueError:
        raise InputError(f"{uri!r} is not a valid name of an object", hint="remove //, . and .. from it") from None


def _absent(uri: str) -> InputError:
    return InputError(f"{uri} does not exist", hint="check the path or URI")


def _wanted(keys: Iterable[str], pattern: str) -> list[str]:
    """Return the image files among `keys`, or all of them when the pattern's last part spells an extension."""
    last = pattern.rpartition("/")[2]
    if _MAGIC.search(last) and re.search(r"\.[^*?\[.]+$", last):
        return list(keys)
    return [key for key in keys if os.path.splitext(key)[1].lower() in IMAGE_SUFFIXES]  # noqa: PTH122


def _glob_local(pattern: str, patience: Patience | None) -> list[Stat]:
    path = local_path(pattern)
    if os.path.isfile(path):  # noqa: PTH113
        return [stat_uri(pattern, patience=patience)]
    if os.path.isdir(path):  # noqa: PTH112
        pattern, path = f"{pattern.rstrip('/')}/**", f"{glob.escape(path.rstrip('/'))}/**"
    elif not _MAGIC.search(path):
        return []
    named = glob.glob(path, recursive=True)  # noqa: PTH207 - pathlib's finds hidden files
    lead = "file://" if pattern.startswith("file://") else ""
    found = (f"{lead}{name}" for name in _wanted(named, pattern) if os.path.isfile(name))  # noqa: PTH113
    return [stat_of(name, os.stat(local_path(name))) for name in found]  # noqa: PTH116


def _glob_objects(pattern: str, patience: Patience | None) -> list[Stat]:
    scheme, _, path = pattern.partition("://")
    bucket, _, wanted = path.partition("/")
    if wanted.rstrip("/"):
        _check_input_key(wanted.rstrip("/"), pattern)
    store = open_store(f"{scheme}://{bucket}", patience)
    exact = store.head(wanted) if wanted and not wanted.endswith("/") else None
    if exact is not None:
        return [Stat(pattern, exact.size, exact.etag)]
    magic = _MAGIC.search(wanted)
    if magic:
        below, matches = wanted[: magic.start()], _matcher(wanted)
    else:
        below = wanted.rstrip("/") + "/" if wanted.rstrip("/") else ""
        matches = _matcher(glob.escape(below) + "**")
    stats = {stat.key: stat for stat in store.list(below) if matches(stat.key)}
    return [Stat(store.url(key), stats[key].size, stats[key].etag) for key in _wanted(stats, wanted)]


def _matcher(pattern: str) -> Callable[[str], re.Match[str] | None]:
    try:
        return re.compile(_regex(pattern)).fullmatch
    except re.error:
        raise InputError(f"{pattern} is not a valid pattern", hint="write ranges as [a-z]") from None


def _regex(pattern: str) -> str:
    """Return the regular expression of a glob: `*` and `?` stay within a name and skip hidden names."""
    *folders, last = pattern.split("/")
    text = "".join(r"(?:(?!\.)[^/]+/)*" if name == "**" else _regex_name(name) + "/" for name in folders)
    return text + (r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+" if last == "**" else _regex_name(last))


def _regex_name(name: str) -> str:
    text = r"(?!\.)" if name[:1] in {"*", "?", "["} else ""
    for piece in re.findall(r"\[!?\]?[^\]]*\]|.", name):
        if piece == "*":
            text += "[^/]*"
        elif piece == "?":
            text += "[^/]"
        elif len(piece) > 1:
            inner = piece[1:-1].replace("\\", "\\\\").replace("[", "\\[")
            text += f"[^{inner[1:]}/]" if inner.startswith("!") else f"[{inner}]"
        else:
            text += re.escape(piece)
    return text
