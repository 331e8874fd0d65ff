"""From a root as the user wrote it to its store. Libraries load with the protocol that needs them, not before."""

from __future__ import annotations

import difflib
import os
from typing import TYPE_CHECKING

from nst.errors import InputError
from tasks.store.local import LocalStore

if TYPE_CHECKING:
    from tasks.store.contract import Store
    from tasks.store.patience import Patience

SCHEMES = ("file", "s3", "gs", "az", "abfs", "memory")


def scheme_of(uri: str) -> str:
    """Return the protocol of a URI, "file" for a plain path."""
    scheme, separator, _ = uri.partition("://")
    return scheme.lower() if separator else "file"


def local_path(uri: str) -> str:
    """Return the path that a plain path or a file:// URI names, with ~ expanded."""
    return os.path.expanduser(uri.removeprefix("file://"))  # noqa: PTH111


def unknown_scheme(uri: str, known: tuple[str, ...]) -> InputError:
    """Return the error for a protocol that nst does not speak."""
    scheme = scheme_of(uri)
    close = difflib.get_close_matches(scheme, known, n=1, cutoff=0.5)
    guess = f"did you mean {close[0]}://? " if close else ""
    return InputError(f"unknown protocol {scheme}://", hint=f"{guess}known: a local path, {', '.join(known)}")


def open_store(uri_or_path: str | os.PathLike[str], patience: Patience | None = None) -> Store:
    """Return the store below a local path, file://, s3://, memory://, gs://, az:// or abfs:// URI.

    Nothing is contacted or created yet: a wrong bucket or missing credentials show at the first operation.

    Raises:
        InputError: An unknown protocol, or a URI without a bucket.
    """
    uri = os.fspath(uri_or_path)
    scheme = scheme_of(uri)
    if scheme == "file":
        if not local_path(uri):
            raise InputError("an empty root", hint="name a folder or a URI such as s3://bucket/prefix")
        return LocalStore(local_path(uri), patience)
    if scheme not in SCHEMES:
        raise unknown_scheme(uri, SCHEMES)
    if scheme == "s3":
        from tasks.store.s3 import S3Store

        return S3Store(uri, patience)
    from tasks.store.generic import FsspecStore

    return FsspecStore(uri, patience)
