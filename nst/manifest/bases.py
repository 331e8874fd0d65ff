"""The manifests that a manifest extends: read one after the other, and laid below it."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from nst.config.locations import LocationError, parse_location
from nst.errors import ManifestError, UserError
from nst.yaml.positions import Document, merge
from nst.yaml.problems import describe
from nst.yaml.text import load

if TYPE_CHECKING:
    from nst.errors import Problem
    from nst.yaml.positions import Path

MAX_BASES: Final = 8

ReadBase = Callable[[str], str]
"""Returns the text of a base manifest, given its URI or its path relative to the folder of the manifest that is run.
Raises OSError or UserError for a base that cannot be read."""


class _UnusableBase(Exception):
    """What a manifest extends cannot be used; the message says why."""


def with_bases(document: Document, file: str, read_base: ReadBase | None) -> tuple[Document, bool]:
    """Return a document laid over the manifests that it extends, and whether all of them were read.

    Args:
        document: The manifest.
        file: What messages call it.
        read_base: Reads the bases; without it, a manifest cannot extend others.
    """
    chain = [posixpath.normpath(file)]
    folder, top = "", document
    while isinstance(top.value, dict) and top.value.get("extends") is not None:
        try:
            uri = _base_uri(top.value["extends"], folder)
            name = _joined(posixpath.dirname(file), uri)
            _check_chain(chain, name)
            top = _read(uri, name, read_base)
            if parse_location(file).is_local and not parse_location(name).is_local:
                _check_untrusted(top)
        except _UnusableBase as error:
            problem = top.positions.problem(("extends",), str(error))
            return _with_problems(document, problem), False
        except ManifestError as error:
            return _with_problems(document, *error.problems), False
        chain.append(posixpath.normpath(name))
        folder = posixpath.dirname(uri)
        document = merge(top, document)
    return document, True


def _base_uri(extends: Any, folder: str) -> str:
    """Return the URI of a base, or its path relative to the folder of the manifest that is run."""
    if not isinstance(extends, str) or not extends:
        raise _UnusableBase(f"found {describe(extends)}, expected the path or URI of a manifest")
    return _joined(folder, extends)


def _joined(folder: str, uri: str) -> str:
    """Return what a URI names in a manifest of this folder; a manifest from elsewhere names no local one."""
    try:
        return str(parse_location(folder).join(uri) if folder else parse_location(uri))
    except LocationError as error:
        raise _UnusableBase(str(error)) from None


def _check_chain(chain: list[str], name: str) -> None:
    """Refuse a base that extends the manifest, and too many bases."""
    if len(chain) > MAX_BASES:
        raise _UnusableBase(f"expected at most {MAX_BASES} manifests that extend each other")
    if posixpath.normpath(name) in chain:
        raise _UnusableBase(f"the manifests extend each other in a circle: {' -> '.join([*chain, name])}")


def _read(uri: str, name: str, read_base: ReadBase | None) -> Document:
    if read_base is None:
        raise _UnusableBase("`extends` is not possible here")
    try:
        text = read_base(uri)
    except ManifestError:
        raise
    except (UserError, OSError, UnicodeError) as error:
        raise _UnusableBase(f"cannot read {uri!r}: {getattr(error, 'strerror', None) or error}") from error
    base = load(text, name)
    if not isinstance(base.value, dict):
        problem = base.positions.problem((), f"found {describe(base.value)}, expected a mapping")
        raise ManifestError((*base.problems, problem))
    return base


def _check_untrusted(base: Document) -> None:
    """Refuse what a manifest from elsewhere names outside the folder of the local manifest that extends it.

    What it extends itself lies beside it, see `_joined`.

    Raises:
        ManifestError: With each such name, at its place.
    """
    message = "a local file, named by a manifest that came from elsewhere"
    inputs = {key: value for key, value in base.value.items() if key != "extends"}
    found = _names_outside(inputs, (), set())
    if problems := tuple(base.positions.problem(path, message, "name it in your own manifest") for path in found):
        raise ManifestError(problems)


def _names_outside(value: Any, path: Path, seen: set[int]) -> Iterator[Path]:
    """Yield where a document has texts that are local paths out of a folder; `seen` holds what was walked already."""
    if isinstance(value, dict | list) and id(value) not in seen:
        seen.add(id(value))
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _names_outside(item, (*path, key), seen)
    elif isinstance(value, str) and _leads_outside(value):
        yield path


def _leads_outside(text: str) -> bool:
    try:
        location = parse_location(text)
    except LocationError:  # nobody opens it either
        return False
    return location.is_local and (location.path.startswith(("/", "~")) or ".." in location.path.split("/"))


def _with_problems(document: Document, *problems: Problem) -> Document:
    return replace(document, problems=(*document.problems, *problems))
