"""Which files are clips and which are stills. Needs no extra."""

from __future__ import annotations

from typing import Final

from tasks.clips.animations import has_several_frames
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.uris import CLIP_SUFFIXES, read_uri
from tasks.store.opening import locate

_ANIMATED: Final = frozenset({".gif", ".png", ".apng", ".webp"})
"""Endings of files that may be clips."""


def is_clip(uri: str) -> bool:
    """Return whether a file is a clip: by its ending, or a GIF, PNG or WebP of several frames."""
    ending = locate(uri).ending
    return ending in CLIP_SUFFIXES or (ending in _ANIMATED and has_several_frames(read_uri(uri, max_bytes=MOST_BYTES)))
