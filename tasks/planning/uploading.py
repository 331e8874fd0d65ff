"""Copies the local inputs of a plan below a root that is not on this machine, so that any machine can take part.

A copy is `inputs/<sha256><suffix>`, named by its bytes: what several sweeps use is there once, and what was copied
before is not copied again. Ids of cells hash digests and no locations, so that the cells stay the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields, is_dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from nst.errors import InputError
from tasks.inputs.uris import read_uri
from tasks.layout import input_key
from tasks.planning.resolved import digests_of
from tasks.planning.sweep import PreparedSweep
from tasks.planning.training import PreparedTraining

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.store import Store

_Prepared = TypeVar("_Prepared", PreparedSweep, PreparedTraining)
_Record = TypeVar("_Record")


def uploaded(prepared: _Prepared) -> tuple[_Prepared, int]:
    """Return a plan whose inputs no machine keeps to itself, and how many files were copied for that.

    Inputs stay where they are where the root is a folder, too: whoever sees the one sees the others.

    Raises:
        InputError: An input is gone, or has changed since it was planned.
        StorageError: The store did not answer.
    """
    store = prepared.root.store
    if store.uri.startswith("file://"):
        return prepared, 0
    resolved = prepared.resolved
    digests = dict(digests_of(resolved))
    local = [uri for uri in dict.fromkeys(resolved.uris()) if uri.startswith("file://")]
    copies = {uri: _copied(store, uri, digests[uri]) for uri in local}
    moved = _moved(resolved, {uri: store.url(key) for uri, (key, _) in copies.items()})
    return replace(prepared, resolved=moved), sum(is_new for _, is_new in copies.values())


def _copied(store: Store, uri: str, digest: str) -> tuple[str, bool]:
    """Copy a file below the root; return the key of the copy, and whether it was not there before."""
    digest = digest.removeprefix("sha256-")
    key = input_key(digest, PurePosixPath(uri).suffix)
    if store.head(key) is not None:  # which has the bytes that were planned, whatever has become of the file
        return key, False
    data = read_uri(uri)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{uri} has changed while it was submitted", hint="submit it again")
    store.put(key, data)
    return key, True


def _moved(record: _Record, copies: Mapping[str, str]) -> _Record:
    """Return a record of inputs, with the locations of the copies in place of those of the files."""

    def moved(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(moved, value))
        if not is_dataclass(value) or isinstance(value, type):
            return value
        changes = {each.name: moved(getattr(value, each.name)) for each in fields(value)}
        if "uri" in changes:
            changes["uri"] = copies.get(changes["uri"], changes["uri"])
        return replace(value, **changes)

    found: _Record = moved(record)
    return found
