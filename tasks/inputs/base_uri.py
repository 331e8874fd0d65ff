"""The folder that the relative inputs of a manifest lie in, and which files the manifest may name."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nst.config.locations import LocationError
from nst.errors import InputError
from nst.redaction import redacted
from tasks.inputs.bounds import Bounds, is_below, real_path
from tasks.store.opening import locate

if TYPE_CHECKING:
    from nst.config.locations import Location


@dataclass(frozen=True, slots=True)
class BaseUri:
    """What relative URIs are relative to.

    Attributes:
        folder: The folder.
        bounds: Which of the files that are named may be images. A manifest from a bucket or the web is untrusted: it
            may name no local file, or only those below the folder that the user passed as --inputs.
        is_confined: Whether other manifests must lie below this folder, links followed: of a manifest that anybody may
            have laid there, whose faults are told to whoever reads the folder.
    """

    folder: Location
    bounds: Bounds = field(default_factory=Bounds)
    is_confined: bool = False

    @classmethod
    def of(cls, manifest_uri: str, inputs: str = "", root: str = "") -> BaseUri:
        """Return the base of a manifest: `inputs`, or else the manifest's own folder.

        Args:
            manifest_uri: URI or path of the manifest.
            inputs: Folder or URI for its relative inputs, or "".
            root: The root, whose files are no images to begin with, or "".

        Raises:
            InputError: One of them is no location.
        """
        manifest = locate(manifest_uri)
        folder = locate(inputs.rstrip("/") or "/") if inputs else manifest.folder
        within = folder.path if folder.is_local and not manifest.is_local else ""
        return cls(folder, Bounds.of(within, root))

    def join_manifest(self, uri: str) -> str:
        """Return the absolute URI of another manifest that one of this folder names.

        What a manifest from a bucket or the web names lies in the same one: messages quote the lines of a manifest that
        is at fault, and a text that is quoted must be nothing that only this machine can read.

        Raises:
            InputError: It is no location, or lies where it must not.
        """
        joined = self.join(uri)
        found = locate(joined)
        if not self.folder.is_local and (found.scheme, found.host) != (self.folder.scheme, self.folder.host):
            store = f"{self.folder.scheme}://{self.folder.host}"
            raise InputError(f"{redacted(uri)} does not lie in {store}, as the manifest does", hint="lay it beside it")
        if self.is_confined:
            place, folder = str(found), str(self.folder)
            if found.is_local:
                place, folder = real_path(found.path), real_path(self.folder.path)
            if not is_below(place, folder):
                raise InputError(f"{redacted(uri)} does not lie in the folder of the manifest", hint="lay it beside it")
        return joined

    def join(self, uri: str) -> str:
        """Return the absolute URI of an input.

        Raises:
            InputError: It is no location; or the manifest is untrusted and names a local file outside its folder.
        """
        try:
            found = self.folder.join(uri)
        except LocationError as error:
            raise InputError(error.message, hint=error.hint) from None
        if not found.is_local:
            return str(found)
        path = os.path.abspath(os.path.expanduser(found.path))  # noqa: PTH100, PTH111  a pattern is no Path
        if self.bounds.within:
            self.bounds.check_within(real_path(path), uri)
        return f"file://{path}"
