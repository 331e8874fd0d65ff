"""Inputs anywhere: read, digest, stat and glob what a manifest names, in files, buckets, memory and on the web."""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING

from nst.config.locations import WEB_SCHEMES
from nst.errors import InputError
from tasks.inputs.bounds import Bounds, real_path
from tasks.inputs.folders import files_below
from tasks.inputs.patterns import magic_at, matcher, spells_extension, split_pattern
from tasks.store.contract import Stat, Store, UnreadableError, check_key
from tasks.store.local import stat_of
from tasks.store.opening import locate, open_store
from tasks.store.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nst.config.locations import Location

IMAGE_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tga", ".tif", ".tiff",
    ".webp",
})  # fmt: skip

CLIP_SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts",
    ".webm", ".wmv",
})  # fmt: skip


def read_uri(uri: str, *, max_bytes: int | None = None, patience: Patience | None = None) -> bytes:
    """Return the bytes of one file or object.

    Args:
        uri: A local path or a URI.
        max_bytes: Refuse more than this many bytes; what is announced too large is not fetched.
        patience: Limits of the retries.

    Raises:
        UnreadableError: More bytes than `max_bytes`, bytes that come too slowly, or a site that answers with no HTTP.
        InputError: Absent, no location, or an unknown protocol.
        StorageError: The store or site did not answer before the deadline.
    """
    location = locate(uri)
    if location.scheme in WEB_SCHEMES:
        from tasks.inputs.web import read_web

        return read_web(location, max_bytes, patience or Patience())
    store, key = _store_of(location, patience)
    try:
        return store.get(key, max_bytes=max_bytes)
    except FileNotFoundError:
        raise _absent(uri) from None


def digest_uri(uri: str, *, max_bytes: int | None = None) -> str:
    """Return the SHA-256 of one file or object, hex, without holding more than a piece of it; see `read_uri`."""
    location = locate(uri)
    if location.scheme in WEB_SCHEMES:
        from tasks.inputs.web import digest_web

        return digest_web(location, max_bytes, Patience())
    store, key = _store_of(location, None)
    try:
        return store.digest(key, max_bytes=max_bytes)
    except FileNotFoundError:
        raise _absent(uri) from None


def stat_uri(uri: str, *, patience: Patience | None = None) -> Stat:
    """Return size and etag of one file or object, with the URI as its key. Errors: as `read_uri`.

    A link whose answer to HEAD cannot be read is neither absent nor there: it has size 0 and no etag, and reading it
    says whether it can be read.
    """
    location = locate(uri)
    if location.scheme in WEB_SCHEMES:
        from tasks.inputs.web import stat_web

        try:
            return stat_web(location, patience or Patience())
        except UnreadableError:
            return Stat(uri, 0, "")
    store, key = _store_of(location, patience)
    found = store.head(key)
    if found is None:
        raise _absent(uri)
    return Stat(uri, found.size, found.etag)


def glob_uri(pattern: str, *, bounds: Bounds | None = None, patience: Patience | None = None) -> list[Stat]:
    """Return what a URI, glob or prefix names, sorted, with full URIs as keys (plain paths stay plain paths).

    An existing file or object is itself, whatever characters its name holds. A folder or prefix is all image files
    below it. A glob (`tasks.inputs.patterns`) finds image files only, unless its last part spells an extension.

    Args:
        pattern: A local path or a URI, with or without a glob.
        bounds: What may be an input; nothing else is found.
        patience: Limits of the retries.

    Raises:
        InputError: Nothing is found, what is named may be no input, no location, or an unknown protocol.
        StorageError: The store did not answer before the deadline.
    """
    location = locate(pattern)
    if location.scheme in WEB_SCHEMES:
        return [stat_uri(pattern, patience=patience)]
    bounds = bounds or Bounds()
    if location.is_local:
        found = _glob_local(pattern, location.path, bounds)
    else:
        found = _glob_objects(pattern, location, bounds, patience)
    if not found:
        what = "matches no file" if magic_at(pattern) >= 0 else "names no file and no folder with images"
        if location.is_local and os.path.isdir(location.path):  # noqa: PTH112  as for patterns
            what = "is a folder without images"
        hint = f"a folder stands for the images below it, whose names end in {', '.join(sorted(IMAGE_SUFFIXES))}"
        raise InputError(f"{pattern} {what}", hint=hint)
    return sorted(found, key=lambda stat: stat.key)


def _store_of(location: Location, patience: Patience | None) -> tuple[Store, str]:
    """Return the store of a location's folder or bucket, and the key there."""
    if location.is_local:
        root, _, key = os.path.abspath(os.path.expanduser(location.path)).rpartition("/")  # noqa: PTH100, PTH111
        if key:
            return open_store(root or "/", patience), key
    else:
        root, slash, key = (
            location.path.rpartition("/") if location.scheme == "memory" else location.path.partition("/")
        )
        if key and (slash or location.scheme == "memory"):
            _check_input_key(key, str(location))
            return open_store(f"{location.scheme}://{root}", patience), key
    raise InputError(f"{str(location)!r} names no file or object", hint="write e.g. s3://bucket/folder/photo.jpg")


def _check_input_key(key: str, uri: str) -> None:
    try:
        check_key(key)
    except ValueError:
        raise InputError(f"{uri!r} is not a valid name of an object", hint="remove //, . and .. from it") from None


def _absent(uri: str) -> InputError:
    return InputError(f"{uri} does not exist", hint="check the path or URI")


def _wanted(keys: Iterable[str], pattern: str) -> list[str]:
    """Return the image files among `keys`, or all of them when the pattern's last part spells an extension."""
    if spells_extension(pattern):
        return list(keys)
    return [key for key in keys if os.path.splitext(key)[1].lower() in IMAGE_SUFFIXES]  # noqa: PTH122


def _glob_local(text: str, given: str, bounds: Bounds) -> list[Stat]:
    path = os.path.expanduser(given)  # noqa: PTH111  a pattern is no Path
    lead = "" if text.startswith(given) else "file://"
    if os.path.isfile(path):  # noqa: PTH113
        bounds.check(real_path(path), text)
        return [stat_of(text, os.stat(path))]  # noqa: PTH116
    if os.path.isdir(path):  # noqa: PTH112
        folder, pattern = f"{path.rstrip('/')}/", "**"
    else:
        folder, pattern = split_pattern(path)
        if magic_at(pattern) < 0:
            return []
    bounds.check(real_path(folder or "."), text)
    names = _wanted(files_below(folder, pattern, bounds), pattern)
    for name in names:
        if not name.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in name):
            raise InputError(f"the name of {folder}{name} is not UTF-8", hint="rename the file, or name the others")
    return [stat_of(f"{lead}{folder}{name}", os.stat(f"{folder}{name}")) for name in names]  # noqa: PTH116


def _glob_objects(pattern: str, location: Location, bounds: Bounds, patience: Patience | None) -> list[Stat]:
    wanted = location.key
    if wanted.rstrip("/"):
        _check_input_key(wanted.rstrip("/"), pattern)
    store = open_store(f"{location.scheme}://{location.host}", patience)
    exact = store.head(wanted) if wanted and not wanted.endswith("/") else None
    if exact is not None:
        bounds.check(store.url(wanted), pattern)
        return [Stat(store.url(wanted), exact.size, exact.etag)]
    if (at := magic_at(wanted)) >= 0:
        below, matches = wanted[:at], matcher(wanted)
    else:
        below = wanted.rstrip("/") + "/" if wanted.rstrip("/") else ""
        bounds.check(store.url(below).rstrip("/"), pattern)
        matches = matcher(glob.escape(below) + "**")
    stats = {stat.key: stat for stat in store.list(below) if matches(stat.key) and bounds.allows(store.url(stat.key))}
    return [Stat(store.url(key), stats[key].size, stats[key].etag) for key in _wanted(stats, wanted)]
