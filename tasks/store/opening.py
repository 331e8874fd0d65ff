"""From the URI of a root, as the user wrote it, to its store; a library is imported only if its protocol is used."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nst.config.locations import INPUT_SCHEMES, ROOT_SCHEMES, LocationError, parse_location
from nst.errors import InputError
from tasks.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.locations import Location
    from tasks.store.contract import Store
    from tasks.store.patience import Patience


def open_store(uri_or_path: str | os.PathLike[str], patience: Patience | None = None) -> Store:
    """Return the store below a local path, file://, s3://, memory://, gs://, az:// or abfs:// URI.

    Nothing is contacted or created yet: a wrong bucket or missing credentials surface at the first operation.

    Raises:
        InputError: It is no location of these protocols, or a URI without a bucket.
    """
    text = os.fspath(uri_or_path)
    if not text:
        raise InputError("an empty root", hint="name a folder or a URI such as s3://bucket/prefix")
    location = locate(text, ROOT_SCHEMES)
    if location.is_local:
        return LocalStore(os.path.expanduser(location.path), patience)  # noqa: PTH111  a store's root is a string
    if location.scheme == "s3":
        from tasks.store.s3 import S3Store

        return S3Store(str(location), patience)
    from tasks.store.generic import FsspecStore

    return FsspecStore(str(location), patience)


def locate(text: str, schemes: Sequence[str] = INPUT_SCHEMES) -> Location:
    """Return the location that a text names (`nst.config.locations.parse_location`).

    Raises:
        InputError: It is no location, or of another protocol.
    """
    try:
        return parse_location(text, schemes)
    except LocationError as error:
        raise InputError(error.message, hint=error.hint) from None
