"""The folder that the relative inputs of a manifest lie in, and which local files the manifest may name."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass

from nst.errors import InputError


@dataclass(frozen=True, slots=True)
class BaseUri:
    """What relative URIs are relative to.

    Attributes:
        uri: Folder path or URI without a trailing slash.
        remote: Whether the manifest came from a bucket or the web. It is untrusted then: it may name no local file, or
            only those below the folder that the user passed as --inputs.
    """

    uri: str
    remote: bool = False

    @classmethod
    def of(cls, manifest_uri: str, inputs: str = "") -> BaseUri:
        """Return the base of a manifest: `inputs`, or else the manifest's own folder."""
        remote = "://" in manifest_uri and not manifest_uri.startswith("file://")
        folder = inputs.rstrip("/") or (manifest_uri.rpartition("/")[0] or ".")
        return cls(folder, remote=remote)

    def join(self, uri: str) -> str:
        """Return the absolute URI of an input.

        Raises:
            InputError: A manifest from a bucket names a local file outside the folder that it may read.
        """
        if "://" in uri and not uri.startswith("file://"):
            return uri
        path = os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111  globs are no Paths
        if not posixpath.isabs(path) and "://" in self.uri and not self.uri.startswith("file://"):
            scheme, _, rest = self.uri.partition("://")
            return f"{scheme}://{posixpath.normpath(f'{rest}/{path}')}" if ".." in path else f"{self.uri}/{path}"
        folder = os.path.abspath(self.uri.removeprefix("file://"))  # noqa: PTH100
        full = os.path.normpath(os.path.join(folder, path))  # noqa: PTH118
        if self.remote and ("://" in self.uri or not full.startswith(folder + os.sep)):
            raise InputError(
                f"{uri} is a local file, and the manifest came from object storage",
                hint="name inputs by their own URI, or pass --inputs with the folder that it may read",
            )
        return f"file://{full}"
