"""Copies of clips as MP4 files, so that the page plays in step what browsers cannot play, or not frame by frame."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from tasks.clips.writing import write_clip
from tasks.layout import copy_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from tasks.store import Store
    from tasks.work.clip_source import ClipSource

_PLAYED: Final = frozenset({".m4v", ".mkv", ".mov", ".mp4", ".webm"})
"""Endings of contents that the page plays as they are, where the browser can (`tasks/pages/gallery/clip.js`)."""


def write_copies(store: Store, source: ClipSource, digest: str, container: str, pictures: Iterable[np.ndarray]) -> None:
    """Write a copy of a clip that is no MP4 file, and one of its content if that is no video file or lies on the web.

    Browsers show GIF and WebP as they please, without a way to a frame, and have no FFV1; of a content that is a folder
    of stills they have nothing to play. A page that is opened from a folder cannot read files itself, and none asks
    another address.

    Args:
        store: The objects of the root.
        source: The frames of the content at the size of the picture.
        digest: Digest of the clip's file.
        container: Its container.
        pictures: Its frames.
    """
    if container != "mp4":
        _write(store, copy_key(digest), source, pictures)
    uri = "" if source.clip.clip.stills else source.clip.ref.uri
    if uri.startswith(("http://", "https://")) or PurePosixPath(uri).suffix.lower() not in _PLAYED:
        _write(store, copy_key(digest, content=True), source, map(source.frame, source.clip.numbers))


def _write(store: Store, key: str, source: ClipSource, pictures: Iterable[np.ndarray]) -> None:
    """Write a clip with the times of the content; one whose times an MP4 file cannot state has no copy."""
    clip = source.clip
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        file = Path(folder) / "clip.mp4"
        write_clip(pictures, clip.times, clip.time_base, "h264", file, end=clip.end)
        store.put(key, file.read_bytes())
