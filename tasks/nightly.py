"""Which training manifests a night takes up, and the report that it leaves below the root."""

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
    """Return the URIs of a night's training manifests, sorted.

    Args:
        store: The root's.
        folder: Where they lie; "" means `manifests/nightly/` of the root, or else of the working directory.
    """
    if folder:
        return _manifests(folder)
    return _manifests(store.url(FOLDER)) or _manifests(str(Path.cwd() / FOLDER))


def write_report(store: Store, began: datetime, rows: Sequence[dict[str, Any]]) -> str:
    """Write what became of a night's manifests, and return the URI."""
    key = f"{_REPORTS}{began.astimezone(UTC):%Y-%m-%dT%H%M%S}.json"
    store.put(key, json.dumps({"began": began.isoformat(), "manifests": list(rows)}, indent=1).encode())
    return store.url(key)


def _manifests(folder: str) -> list[str]:
    found = []
    for ending in ("yaml", "yml"):
        with contextlib.suppress(InputError):  # there is none
            found += [stat.key for stat in glob_uri(f"{folder.rstrip('/')}/*.{ending}")]
    return sorted(found)
