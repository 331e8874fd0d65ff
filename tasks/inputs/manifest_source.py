"""A manifest read from its URI, with the manifests that it extends: once, whatever it declares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from nst.errors import ManifestError, Problem
from nst.manifest.declaration import read_declaration
from nst.redaction import redacted
from nst.yaml.text import dump
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.manifest.declaration import Declaration

_MOST_BYTES: Final = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest as it was read, not yet checked.

    Attributes:
        uri: URI or path of the manifest, as the user named it; of a link, without its query.
        written: Its YAML.
        declaration: What the YAML says, laid over the manifests that it extends, with the changes laid over both.
        overrides: The changes, `key=value` each.
    """

    uri: str
    written: str
    declaration: Declaration
    overrides: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The YAML; with changes, a manifest that says the same with all changes made. Only of a manifest that holds.

        What does not hold may have no text: a number that is not finite, for instance.
        """
        return _changed_text(self.uri, self.declaration, self.overrides) if self.overrides else self.written

    @property
    def folder(self) -> BaseUri:
        """The manifest's own folder, which other manifests that it names are relative to."""
        return BaseUri.of(self.uri)


def read_manifest(uri: str, overrides: Sequence[str] = ()) -> ManifestSource:
    """Read a manifest.

    Args:
        uri: URI or path of the manifest.
        overrides: Changes that are laid over it, `key=value` each (`nst.manifest.overrides`).

    Raises:
        ManifestError: It is not UTF-8 text, not YAML or not a mapping, or the same of a manifest that it extends.
        InputError: It does not exist or is too large.
    """
    text, folder, shown = _read_text(uri), BaseUri.of(uri), redacted(uri)
    declaration = read_declaration(text, shown, lambda base: _read_text(folder.join(base)), overrides)
    return ManifestSource(shown, text, declaration, tuple(overrides))


def _changed_text(uri: str, declaration: Declaration, overrides: Sequence[str]) -> str:
    """Return a manifest that says what another one says with changes and with all that it extends."""
    raw = {key: value for key, value in declaration.raw.items() if key != "extends"}
    heading = f"# {PurePosixPath(uri).name} with {' '.join(overrides)}"
    return f"{heading}\n{dump(raw)}\n"


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
