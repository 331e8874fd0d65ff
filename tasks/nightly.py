"""Which training manifests are run in a night, and the report of the night below the root."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nst.errors import InputError
from tasks.inputs.uris import glob_uri

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.store import Store

FOLDER: Final = "manifests/nightly"
_REPORTS: Final = "state/nights/"


def nightly_manifests(store: Store, folder: str = "") -> list[str]:
    """Return the URIs of the training manifests of a night, sorted.

    Args:
        store: The objects of the root.
        folder: Folder or URI of the manifests; "" means `manifests/nightly/` of the root, or of the working directory
            if the root has no such manifests.
    """
    if folder:
        return _manifests(folder)
    return _manifests(store.url(FOLDER)) or _manifests(str(Path.cwd() / FOLDER))


def write_report(store: Store, began: datetime, rows: Sequence[dict[str, Any]]) -> str:
    """Write what became of the manifests of a night, and return the URI of the report."""
    key = f"{_REPORTS}{began.astimezone(UTC):%Y-%m-%dT%H%M%S.%f}.json"
    store.put(key, json.dumps({"began": began.isoformat(), "manifests": list(rows)}, indent=1).encode())
    return store.url(key)


def _manifests(folder: str) -> list[str]:
    found = []
    for ending in ("yaml", "yml"):
        with contextlib.suppress(InputError):  # no file matches
            found += [stat.key for stat in glob_uri(f"{folder.rstrip('/')}/*.{ending}")]
    return sorted(found)
