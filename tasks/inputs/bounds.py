"""Which files and objects may be inputs: none below the root, and for an untrusted manifest none outside its folder.

Local files are judged by their real paths, so that no link and no other spelling leads around the bounds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from nst.errors import InputError
from tasks.store.opening import locate

_WRITTEN_BY_PEOPLE: Final = ("manifests", "inbox")
"""The folders of a root in which people may lay manifests, with the images that they name beside them."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of what a manifest may name.

    Attributes:
        within: Real path of the only folder whose local files may be read; "" for any.
        root: The root as a URI, or its real path if it is a local one; "" without a root.
    """

    within: str = ""
    root: str = ""

    @classmethod
    def of(cls, within: str = "", root: str = "") -> Bounds:
        """Return the bounds, given the path of a folder and the URI or path of a root; both may be empty."""
        if root:
            location = locate(root)
            root = real_path(location.path) if location.is_local else str(location).rstrip("/")
        return cls(real_path(within) if within else "", root)

    def allows(self, place: str) -> bool:
        """Return whether the file with a real path, or the object with a URI, may be an input."""
        return not self._is_result(place) and not self._is_outside(place)

    def check(self, place: str, text: str) -> None:
        """Refuse what the user named as `text` and lies at `place`, see `allows`.

        Raises:
            InputError: It may be no input.
        """
        self.check_within(place, text)
        if self._is_result(place):
            raise InputError(
                f"{text} lies below the root {self.root}, whose files are results and no inputs",
                hint="copy it to another folder, or choose another --root",
            )

    def check_within(self, place: str, text: str) -> None:
        """Refuse a local file that lies outside the folder of an untrusted manifest; arguments as `check`.

        Raises:
            InputError: It does.
        """
        if self._is_outside(place):
            raise InputError(
                f"{text} is a local file, and the manifest came from elsewhere",
                hint="name inputs by their own URI, or pass --inputs with the folder that it may read",
            )

    def _is_outside(self, place: str) -> bool:
        return bool(self.within) and place.startswith("/") and not is_below(place, self.within)

    def _is_result(self, place: str) -> bool:
        if not self.root or not is_below(place, self.root):
            return False
        return not any(is_below(place, f"{self.root.rstrip('/')}/{folder}") for folder in _WRITTEN_BY_PEOPLE)


def real_path(path: str) -> str:
    """Return the absolute path without links that a path names, with `~` expanded."""
    return os.path.realpath(os.path.expanduser(path))  # noqa: PTH111  a pattern is no Path


def is_below(place: str, folder: str) -> bool:
    """Return whether a real path or a URI is that of a folder or of something in it."""
    return place == folder or place.startswith(f"{folder.rstrip('/')}/")
