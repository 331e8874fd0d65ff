"""The text of a manifest, and the names of the images that it means."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from nst.errors import ManifestError, Problem
from tasks.inputs.uris import read_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

_MANIFEST_BYTES: Final = 4 * 1024**2


def read_text(uri: str) -> str:
    """Return the text of a manifest.

    Raises:
        ManifestError: It is no UTF-8 text.
        InputError: It does not exist or is too large.
    """
    data = read_uri(uri, max_bytes=_MANIFEST_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem(uri, line, 1, f"byte {data[error.start]:#04x} is no UTF-8 text", "save the file as UTF-8")
        raise ManifestError((problem,)) from error


def stem(uri: str) -> str:
    """Return a file's name without its extension, as people would call the picture."""
    return unquote(PurePosixPath(uri.split("?", maxsplit=1)[0]).stem) or "image"


def unique(names: Sequence[str]) -> list[str]:
    """Return the names, later ones numbered where they repeat."""
    taken = Counter(names)
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if taken[name] == 1 or seen[name] == 1 else f"{name}-{seen[name]}")
    return result
