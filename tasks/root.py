"""A root: the folder or bucket that holds pictures, trained models and the catalog. Opened once and handed around."""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING

from nst.errors import InputError
from tasks.store import Patience, open_store
from tasks.store.probe import keeps_create_only

if TYPE_CHECKING:
    from tasks.catalog import Catalog
    from tasks.store import Store


class Root:
    """A root. It crosses into another process as its URI and one flag, and connects there when it is first used.

    Args:
        uri: Path or URI of the root, e.g. `out` or `s3://bucket/prefix`.
        single_publisher: Whether the store lacks create-only writes, so that publishers must take turns.
        known: Whether the store has answered another process before (`tasks.store.patience`).
        patience: Limits of every operation of this process; None for the usual ones.
    """

    def __init__(
        self, uri: str, *, single_publisher: bool = False, known: bool = False, patience: Patience | None = None
    ) -> None:
        self._given = uri
        self._patience = patience or Patience(known=known)
        self.single_publisher = single_publisher

    @property
    def uri(self) -> str:
        """The root with its protocol and without a trailing slash: file:///abs, s3://bucket/prefix, memory://x."""
        return self.store.uri

    @property
    def typed(self) -> str:
        """The root as people type it in whatever folder they are: an absolute path, or a URI."""
        return self.uri.removeprefix("file://")

    @cached_property
    def store(self) -> Store:
        """The objects below the root."""
        return open_store(self._given, self._patience)

    @cached_property
    def catalog(self) -> Catalog:
        """The tables of the root; one object per process, since it remembers their log."""
        from tasks.catalog import Catalog  # a worker unpickles the root before it has set up its process

        return Catalog(self.store, single_publisher=self.single_publisher)

    def __repr__(self) -> str:
        return f"Root({self.uri!r}, single_publisher={self.single_publisher})"

    def __reduce__(self) -> tuple[object, ...]:
        return (partial(Root, single_publisher=self.single_publisher, known=True), (self.uri,))


def open_root(uri: str, *, probed: bool = False, must_exist: bool = False) -> Root:
    """Open a root; nothing is created.

    Args:
        uri: Path or URI of the root.
        must_exist: Whether a local root that is not there yet is refused, as by whoever only reads it. Of a bucket,
            which holds no folders, nothing can be said.
        probed: Whether to try out if the store keeps create-only writes, which all code that writes to the catalog must
            know. Local folders keep them (hard links); other stores are tried once a day (`tasks.store.probe`), which
            takes seconds and the right to write. Without a probe the store is assumed to keep them.

    Raises:
        InputError: An unknown protocol, a URI without a bucket, or a local root that is no folder.
        StorageError, UserError: The probed store does not answer or refuses.
    """
    root = Root(uri)
    if root.uri.startswith("file://"):
        _check_folder(root.typed, must_exist=must_exist)
    if not root.uri.startswith("file://") and probed and not keeps_create_only(root.store):
        return Root(uri, single_publisher=True)
    return root


def _check_folder(path: str, *, must_exist: bool) -> None:
    if os.path.isdir(path):  # noqa: PTH112  the path of a local root is a text everywhere
        return
    if os.path.islink(path) and not os.path.exists(path):  # noqa: PTH110, PTH114  as above
        raise InputError(f"the root {path} is a link to nothing", hint="is the disk mounted?")
    if os.path.exists(path):  # noqa: PTH110  as above
        raise InputError(f"the root {path} is no folder", hint="name a folder or a URI such as s3://bucket/prefix")
    if must_exist:
        hint = "name the root with --root or NST_ROOT; nst run and nst submit make a new one"
        raise InputError(f"there is no root {path}", hint=hint)
