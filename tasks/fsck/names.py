"""Finds names below a local root that hold no file where nst would read or write one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tasks.store.local import FILE, FOLDER, LocalStore

if TYPE_CHECKING:
    from tasks.fsck.findings import Report
    from tasks.store import Store

_OF_OBJECTS: Final = frozenset({
    ".html", ".jpeg", ".jpg", ".json", ".parquet", ".png", ".safetensors", ".webp", ".yaml", ".z",
})  # fmt: skip
"""What the names of objects end in; no folder that nst makes has such a name."""


def check_names(store: Store, report: Report) -> None:
    """Report folders in the place of files, pipes, and links to nothing; only a local root can have them.

    The store removes what writers left aside when they were killed wherever it looks, and here it looks everywhere.
    """
    if not isinstance(store, LocalStore):
        return
    odd = ((key, what) for key, what in store.names() if what != FILE)  # a million names are never in memory at once
    for key, what in sorted(odd):
        if what == FOLDER and os.path.splitext(key)[1] in _OF_OBJECTS:  # noqa: PTH122  a key is no path
            report.problem(key, "is a folder where a file belongs", "move it out of the way")
        elif what != FOLDER:
            report.problem(key, f"is {what}, not a file", "mend the link, or move it out of the way")
