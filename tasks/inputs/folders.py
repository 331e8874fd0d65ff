"""The files of local folders that fit a pattern: each real folder is visited once, and the entries are bounded.

Links that lead back to a folder above them, however many, therefore cost nothing.
"""

# ruff: noqa: PTH118
# os and not pathlib: a folder may hold a million files, and `os.scandir` knows their kinds without asking again.

from __future__ import annotations

import contextlib
import os
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from nst.errors import InputError
from tasks.inputs.bounds import real_path
from tasks.inputs.patterns import matcher, name_matcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tasks.inputs.bounds import Bounds

MOST_ENTRIES: Final = 1_000_000
"""Files and folders that are looked at for one pattern."""


class _Folder(NamedTuple):
    """A folder that is still to be visited: its path below the first one with a slash, its real path, its depth."""

    below: str
    real: str
    depth: int


def files_below(folder: str, pattern: str, bounds: Bounds, most: int = MOST_ENTRIES) -> Iterator[str]:
    """Yield the paths of the regular files below a folder that fit a pattern, relative to the folder.

    Args:
        folder: The folder, "" for the working directory.
        pattern: A glob relative to the folder, see `tasks.inputs.patterns`.
        bounds: What may be an input; other files are left out, and other folders are not visited.
        most: Number of entries after which the search is given up.

    Raises:
        InputError: The pattern is not valid, or there are more entries than `most`.
    """
    fits, way = matcher(pattern), _Way(pattern)
    waiting = deque([_Folder("", real_path(folder or "."), 0)])
    visited: set[tuple[str, int]] = set()
    while waiting:
        here = waiting.popleft()
        if (here.real, min(here.depth, way.free)) in visited:
            continue
        visited.add((here.real, min(here.depth, way.free)))
        entries = _entries(os.path.join(folder, here.below) or ".", most)
        most -= len(entries)
        if most < 0:
            raise InputError(
                f"{folder or '.'} holds too many files and folders to look at each of them",
                hint="name a folder further down, or write a pattern without **",
            )
        for entry in entries:
            path = here.below + entry.name
            with contextlib.suppress(OSError):  # removed meanwhile, or a link to itself
                real = real_path(entry.path) if entry.is_symlink() else os.path.join(here.real, entry.name)
                if entry.is_dir():
                    if way.leads_into(entry.name, here.depth) and bounds.allows(real):
                        found = _Folder(f"{path}/", real, here.depth + 1)
                        # Links come last, so that a file has the name of its real folder where that is among them.
                        (waiting.append if entry.is_symlink() else waiting.appendleft)(found)
                elif entry.is_file() and fits(path) and bounds.allows(real):
                    yield path


def _entries(folder: str, most: int) -> list[os.DirEntry[str]]:
    """Return at most one entry more than `most`, none of a folder that cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(islice(found, most + 1), key=lambda entry: entry.name)
    except OSError:
        return []


class _Way:
    """Which folders a pattern leads into.

    Attributes:
        free: Depth of its first `**`, from which on every folder is visited.
    """

    def __init__(self, pattern: str) -> None:
        parts = pattern.split("/")
        self.free = parts.index("**") if "**" in parts else len(parts)
        self._names = [name_matcher(part) for part in parts[: min(self.free, len(parts) - 1)]]
        self._hidden = any(part.startswith(".") for part in parts[self.free :])

    def leads_into(self, name: str, depth: int) -> bool:
        """Return whether a folder of this name at this depth, from 0, may hold what fits."""
        if depth < self.free:
            return depth < len(self._names) and self._names[depth](name) is not None
        return self._hidden or not name.startswith(".")
