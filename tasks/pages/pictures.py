"""The picture of a row of `results`, from whatever store it lies in: `nst.picture`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, UnidentifiedImageError

from nst.errors import InputError
from tasks.layout import picture_key, thumbnail_key
from tasks.pages.gallery.values import plain
from tasks.store import open_store

if TYPE_CHECKING:
    from tasks.root import Root
    from tasks.store import Store

STILLS: Final = frozenset({"png", "jpeg", "webp"})
"""Formats of pictures that are no clips; a clip may be a `webp`, too."""


def picture_of(row: Any, root: Root | None = None) -> Image.Image:
    """Return the picture of a row; of a clip its small moving preview.

    Args:
        row: A row of `results` as a Series, a mapping or a named tuple.
        root: The root, None for the one that the row's `picture_uri` lies below.

    Raises:
        InputError: It is no such row, or the picture is missing or damaged.
    """
    values = values_of(row)
    store = root.store if root else _store_of(values)
    digest, form = values["picture_digest"], values["picture_format"]
    if is_clip(values):
        return opened(read(store, thumbnail_key(digest)), store.url(thumbnail_key(digest)))
    key = picture_key(digest, form)
    data = read(store, key)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InputError(f"{store.url(key)} is not the picture that was made", hint="nst fsck lists what differs")
    return opened(data, store.url(key))


def thumbnail_of(values: Mapping[str, Any]) -> bytes:
    """Return the file of the thumbnail of a row, a WebP.

    Raises:
        InputError: It is missing, or it is no row of `results`.
    """
    values = values_of(values)
    return read(_store_of(values), thumbnail_key(values["picture_digest"]))


def is_clip(values: Mapping[str, Any]) -> bool:
    """Return whether the picture of a row is a clip."""
    return values["picture_format"] not in STILLS or plain(values.get("clip_frames")) is not None


def values_of(row: Any) -> Mapping[str, Any]:
    """Return the values of a row of `results` by column.

    Raises:
        InputError: It is something else.
    """
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        row = row._asdict()
    elif not isinstance(row, Mapping) and hasattr(row, "to_dict") and getattr(row, "ndim", 1) == 1:
        row = row.to_dict()
    if not isinstance(row, Mapping):
        raise InputError(
            f"found {type(row).__name__}, expected a row of the results", hint="for instance frame.iloc[0]"
        )
    for name in ("picture_digest", "picture_format"):
        if not isinstance(row.get(name), str):
            raise InputError(f"the row has no {name!r}, expected a row of the results", hint="nst.results() gives them")
    return row


def read(store: Store, key: str) -> bytes:
    """Return the bytes of a picture.

    Raises:
        InputError: It is missing.
    """
    try:
        return store.get(key)
    except FileNotFoundError:
        raise InputError(f"{store.url(key)} is missing", hint="nst fsck lists everything that is missing") from None


def opened(data: bytes, uri: str) -> Image.Image:
    """Return a picture.

    Raises:
        InputError: The bytes are none.
    """
    try:
        picture = Image.open(BytesIO(data))
        picture.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{uri} is no picture", hint="nst fsck lists what differs") from error
    return picture


def _store_of(values: Mapping[str, Any]) -> Store:
    """Return the store of the root that a row's picture lies below.

    Raises:
        InputError: The row does not tell.
    """
    key, uri = picture_key(values["picture_digest"], values["picture_format"]), values.get("picture_uri")
    if not isinstance(uri, str) or not uri.endswith(f"/{key}"):
        raise InputError("the row does not tell where its root is", hint="name it: nst.picture(row, root=...)")
    return open_store(uri.removesuffix(f"/{key}"))
