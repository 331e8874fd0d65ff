"""A manifest read from its URI, with the manifests that it extends: once, whatever it declares."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError, ManifestError, Problem
from nst.manifest.declaration import read_declaration
from nst.redaction import redacted
from nst.yaml.text import dump
from tasks.devices import fastest_precision
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.uris import read_uri
from tasks.store.opening import locate

if TYPE_CHECKING:
    from nst.manifest.declaration import Declaration

_MOST_BYTES: Final = 4 * 1024**2

_DICTIONARY: Final = "<dict>"
"""What messages call a manifest that is a dictionary, as Python calls a text `<string>`. As a path it lies in the
working folder, to which its relative inputs are therefore relative."""

_DEEPEST: Final = 50
"""Levels of mappings and lists in a dictionary; YAML's reader has a limit of its own."""


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest as it was read, not yet checked.

    Attributes:
        uri: URI or path of the manifest, as the user named it; of a link, without its query.
        written: Its YAML.
        declaration: What the YAML says, laid over the manifests that it extends, with the changes laid over both.
        overrides: The changes, `key=value` each.
        is_confined: Whether all manifests that it names must lie in its folder.
    """

    uri: str
    written: str
    declaration: Declaration
    overrides: tuple[str, ...] = ()
    is_confined: bool = False

    @property
    def text(self) -> str:
        """The YAML; with changes, a manifest that says the same with all changes made. Only of a manifest that holds.

        What does not hold may have no text: a number that is not finite, for instance.
        """
        if not self.overrides:
            return self.written
        return f"# {PurePosixPath(self.uri).name} with {' '.join(self.overrides)}\n{self.whole}\n"

    @property
    def whole(self) -> str:
        """A manifest that says the same by itself, without others that it extends. Only of a manifest that holds."""
        return dump({key: value for key, value in self.declaration.raw.items() if key != "extends"})

    @property
    def place(self) -> str:
        """Where it lies, as an absolute path or a URI; "" if a program wrote it."""
        location = locate(self.uri)
        if self.uri == _DICTIONARY or not location.is_local:
            return "" if self.uri == _DICTIONARY else self.uri
        return os.path.abspath(os.path.expanduser(location.path))  # noqa: PTH100, PTH111  as `BaseUri.join`

    @property
    def notes(self) -> tuple[str, ...]:
        """What was resolved as it was read, for people."""
        fastest = self.declaration.fastest
        return (f"precision: auto is {fastest} on this machine, and for all who take part",) if fastest else ()

    @property
    def folder(self) -> BaseUri:
        """The manifest's own folder, which other manifests that it names are relative to."""
        return replace(BaseUri.of(self.uri), is_confined=self.is_confined)


def read_manifest(uri: str, overrides: Sequence[str] = (), *, is_confined: bool = False) -> ManifestSource:
    """Read a manifest.

    Args:
        uri: URI or path of the manifest.
        overrides: Changes that are laid over it, `key=value` each (`nst.manifest.overrides`).
        is_confined: Whether it and all manifests that it names must lie in its folder (`BaseUri.is_confined`).

    Raises:
        ManifestError: It is not UTF-8 text, not YAML or not a mapping, or the same of a manifest that it extends.
        InputError: It does not exist or is too large.
    """
    folder, shown = replace(BaseUri.of(uri), is_confined=is_confined), redacted(uri)
    if is_confined:
        folder.join_manifest(PurePosixPath(uri).name)  # it may be a link to somewhere else
    text = _read_text(uri)
    declaration = read_declaration(
        text, shown, lambda base: _read_text(folder.join_manifest(base)), overrides, fastest_precision
    )
    return ManifestSource(shown, text, declaration, tuple(overrides), is_confined)


def declared_manifest(declared: Mapping[str, Any], overrides: Sequence[str] = ()) -> ManifestSource:
    """Return a manifest that a program wrote as a dictionary; it says what YAML with these keys and values says.

    Args:
        declared: The manifest. Paths may be `pathlib`'s, numbers and lists NumPy's.
        overrides: Changes that are laid over it, `key=value` each.

    Raises:
        InputError: A value has no counterpart in YAML.
        ManifestError: As `read_manifest`; lines are those of the dictionary written as YAML.
    """
    text = dump(_plain(declared, "the manifest", _DEEPEST))
    folder = BaseUri.of(_DICTIONARY)
    declaration = read_declaration(
        text, _DICTIONARY, lambda base: _read_text(folder.join(base)), overrides, fastest_precision
    )
    return ManifestSource(_DICTIONARY, text, declaration, tuple(overrides))


def _plain(value: Any, where: str, deepest: int) -> Any:
    """Return a value as YAML's reader would give it.

    Args:
        value: The value.
        where: What messages call it.
        deepest: Levels that may lie below it.

    Raises:
        InputError: It has no counterpart in YAML.
    """
    if not deepest:
        raise InputError(f"{where} lies deeper than {_DEEPEST} levels")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise InputError(f"{where} has the key {key!r:.60} of type {type(key).__name__}, expected a text")
        return {str(key): _plain(item, f"{where}[{key!r}]", deepest - 1) for key, item in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays, and columns of pandas
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(item, f"{where}[{number}]", deepest - 1) for number, item in enumerate(value)]
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise InputError(f"{where} is {type(value).__name__} {value!r:.60}, which YAML does not have")


def _read_text(uri: str) -> str:
    data = read_uri(uri, max_bytes=_MOST_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(
            redacted(uri), line, 1, f"byte {data[error.start]:#04x} is not UTF-8 text", "save the file as UTF-8"
        )
        raise ManifestError((problem,)) from error
