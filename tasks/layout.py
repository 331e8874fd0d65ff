"""Where pictures lie under a root: by their digests, so that a root may be copied or moved whole."""

from __future__ import annotations


def picture_key(digest: str, form: str) -> str:
    """Return the key of a picture, given the digest of its bytes and its format."""
    return f"pictures/{digest[:2]}/{digest}.{form}"


def thumbnail_key(digest: str) -> str:
    """Return the key of the thumbnail of the picture with this digest."""
    return f"thumbs/{digest[:2]}/{digest}.webp"
