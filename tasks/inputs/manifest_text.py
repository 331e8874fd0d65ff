"""The text of a manifest, read once: what it declares is asked of the text, and plans are made from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nst.errors import ManifestError, Problem
from nst.manifest.training import manifest_kind
from tasks.inputs.base_uri import BaseUri
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from typing import Literal

_MOST_BYTES: Final = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class ManifestText:
    """A manifest as it was read.

    Attributes:
        uri: URI or path of the manifest, as the user named it.
        text: Its YAML.
    """

    uri: str
    text: str
    _bases: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def kind(self) -> Literal["sweep", "train"]:
        """What the manifest declares, whatever else may be wrong with it."""
        return manifest_kind(self.text, self.uri, self.read_base)

    @property
    def folder(self) -> BaseUri:
        """The manifest's own folder, which other manifests that it names are relative to."""
        return BaseUri.of(self.uri)

    def read_base(self, uri: str) -> str:
        """Return the text of a manifest that this one extends, read once; errors as `read_manifest`."""
        if uri not in self._bases:
            self._bases[uri] = read_manifest(self.folder.join(uri)).text
        return self._bases[uri]


def read_manifest(uri: str) -> ManifestText:
    """Read the text of a manifest.

    Raises:
        ManifestError: It is not UTF-8 text.
        InputError: It does not exist or is too large.
    """
    data = read_uri(uri, max_bytes=_MOST_BYTES)
    try:
        return ManifestText(uri, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(uri, line, 1, f"byte {data[error.start]:#04x} is not UTF-8 text", "save the file as UTF-8")
        raise ManifestError((problem,)) from error
