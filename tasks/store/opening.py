"""From the URI of a root, as the user wrote it, to its store; a library is imported only if its protocol is used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nst.config.locations import ROOT_SCHEMES
from nst.errors import InputError
from tasks.store.local import LocalStore
from tasks.store.names import local_path, scheme_of, unknown_scheme

if TYPE_CHECKING:
    from tasks.store.contract import Store
    from tasks.store.patience import Patience


def open_store(uri_or_path: str | os.PathLike[str], patience: Patience | None = None) -> Store:
    """Return the store below a local path, file://, s3://, memory://, gs://, az:// or abfs:// URI.

    Nothing is contacted or created yet: a wrong bucket or missing credentials surface at the first operation.

    Raises:
        InputError: An unknown protocol, or a URI without a bucket.
    """
    uri = os.fspath(uri_or_path)
    scheme = scheme_of(uri)
    if scheme == "file":
        if not local_path(uri):
            raise InputError("an empty root", hint="name a folder or a URI such as s3://bucket/prefix")
        return LocalStore(local_path(uri), patience)
    if scheme not in ROOT_SCHEMES:
        raise unknown_scheme(uri, ROOT_SCHEMES)
    if scheme == "s3":
        from tasks.store.s3 import S3Store

        return S3Store(uri, patience)
    from tasks.store.generic import FsspecStore

    return FsspecStore(uri, patience)
