"""The bytes, pictures and masks of inputs that were planned: each is checked against the digest of its plan."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from nst.errors import InputError
from nst.pictures.images import MAX_BYTES, Pixels, decode_layers
from nst.pictures.masks import plain_labels, read_labels
from tasks.inputs.uris import read_uri
from tasks.store.patience import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from nst.pictures.masks import Labels
    from nst.records import ImageRef, MaskRef


def read_planned(uri: str, digest: str, *, max_bytes: int | None = None) -> bytes:
    """Return the bytes of a file that was identified when the run was planned.

    Args:
        uri: Absolute URI of the file.
        digest: SHA-256 that its bytes must have, hex.
        max_bytes: Refuse more than this many bytes.

    Raises:
        InputError: The file is absent, too large, or not the planned one any more.
        StorageError: The store or site did not answer before the deadline.
    """
    data = read_uri(uri, max_bytes=max_bytes, patience=Patience(known=True))
    check_planned(uri, hashlib.sha256(data).hexdigest(), digest)
    return data


def check_planned(name: str, found: str, planned: str) -> None:
    """Check that the SHA-256 of a file is, or begins with, the planned one.

    Raises:
        InputError: It does not; the message begins with `name`.
    """
    if not found.startswith(planned):
        hint = "run or submit it again to plan with the file as it is; `nst fsck` checks the files of a root"
        raise InputError(f"{name}: the file has changed since the run was planned", hint=hint)


def read_picture(ref: ImageRef | MaskRef) -> np.ndarray:
    """Return a planned image, shape (H, W, 3), uint8 RGB.

    Raises:
        InputError: As `read_planned`, or it is no picture; the message begins with its URI.
    """
    return read_pixels(ref).array


def read_pixels(ref: ImageRef | MaskRef) -> Pixels:
    """Return a planned image with its alpha; errors as `read_picture`."""
    data = read_image(ref)
    with naming(ref.uri):
        return Pixels(ref.digest, *decode_layers(data))


def read_image(ref: ImageRef | MaskRef) -> bytes:
    """Return the bytes of a planned image.

    Raises:
        InputError: As `read_planned`, or its bytes could not be read when the run was planned.
    """
    if ref.fault:
        raise InputError(ref.fault)
    return read_planned(ref.link or ref.uri, ref.digest, max_bytes=MAX_BYTES)


def read_mask(ref: MaskRef) -> Labels:
    """Return a planned mask, read from its label image unless it is one colour.

    Raises:
        InputError: As `read_picture`, or the image has no flat regions.
    """
    if ref.is_color:
        return plain_labels(ref.digest)
    picture = read_picture(ref)
    with naming(ref.uri):
        return read_labels(ref.digest, picture)


@contextlib.contextmanager
def naming(uri: str) -> Iterator[None]:
    """Put the name of a file before the message of an InputError that is raised inside the context."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{uri}: {error.message}", hint=error.hint) from error
