"""Clips among the contents of a sweep: found, identified, and their frames selected. Never torch."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from nst.manifest.blocks import frames_of
from nst.pictures.decoding import MAX_BYTES
from nst.records import ClipRef, FrameRef, ImageRef
from nst.redaction import redacted
from tasks.inputs.digests import MOST_BYTES
from tasks.inputs.images import FoundImage, find_files, find_mask, image_refs, is_clip_name, stem
from tasks.inputs.looking import look_at_image
from tasks.inputs.patterns import magic_at
from tasks.inputs.reading import read_planned
from tasks.store.contract import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.config.fields import ClipFormat
    from nst.manifest.blocks import ContentSpec
    from nst.records import MaskRef
    from tasks.clips.probe import ClipInfo
    from tasks.inputs.base_uri import BaseUri
    from tasks.inputs.digests import Digests
    from tasks.store import Stat, Store

DEFAULT_RATE: Final = 24.0
"""Frames per second of a sequence of stills whose manifest does not say it."""


@dataclass(frozen=True, slots=True)
class FoundClip:
    """A clip that a manifest names, before its bytes are read: a file, or stills in order."""

    name: str
    uri: str
    """Absolute, of the file; of a sequence the glob or prefix."""
    spec: ContentSpec
    files: Sequence[Stat]
    is_sequence: bool
    mask: Stat | str | None


def find_clip(spec: ContentSpec, base: BaseUri) -> FoundClip:
    """Return the clip that a content names.

    Raises:
        InputError: There is no such file or sequence, or it may not be named.
    """
    assert spec.video is not None
    files = sorted(find_files(spec.video, base), key=lambda stat: _in_order(stat.key))
    if len(files) > 1 and (clips := [stat for stat in files if is_clip_name(stat.key)]):
        found = f"{spec.video} names {len(files)} files, {redacted(clips[0].key)} among them, which is a clip by itself"
        raise InputError(found, hint="write an entry for each clip; a glob names the stills of one clip")
    is_file = len(files) == 1 and not spec.video.endswith("/")
    is_sequence = not is_file or (magic_at(spec.video) >= 0 and not is_clip_name(files[0].key))
    name = spec.name or stem(spec.video.rstrip("/") if is_sequence and magic_at(spec.video) < 0 else files[0].key)
    uri = base.join(spec.video) if is_sequence else files[0].key
    return FoundClip(name, redacted(uri), spec, files, is_sequence, find_mask(spec.mask, base))


def _in_order(key: str) -> tuple[list[str | int], str]:
    """Return by what stills are put in order: numbers in their names count by their value, so that 10 follows 9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", key)], key


def identify_clip(clip: FoundClip, digests: Digests, store: Store, form: ClipFormat) -> ImageRef:
    """Return the record of a clip, with its digest and the frames that are to be stylized.

    Args:
        clip: The clip.
        digests: Digests of files.
        store: The objects of the root, where it is kept how many frames a clip has.
        form: How the stylized clip is encoded.

    Raises:
        InputError: It cannot be read, or does not have the frames that are named.
    """
    known = digests.each_of(clip.files, MAX_BYTES if clip.is_sequence else MOST_BYTES)
    for digest in known:
        if isinstance(digest, UnreadableError):
            raise InputError(str(digest))
    uris = [redacted(stat.key) for stat in clip.files]
    links = ["" if uri == stat.key else stat.key for uri, stat in zip(uris, clip.files, strict=True)]
    if clip.is_sequence:
        stills = tuple(map(FrameRef, uris, map(str, known), links))
        digest = hashlib.sha256("\n".join(map(str, known)).encode()).hexdigest()
        count, uri, link = len(stills), clip.uri, ""
        rate, size = clip.spec.rate or DEFAULT_RATE, _common_size(clip, digests)
    else:
        stills, digest, uri, link = (), str(known[0]), clip.uri, links[0]
        if clip.spec.rate:
            raise InputError("a file knows its times; 'rate' is for sequences of stills", hint="remove 'rate'")
        info = _info(link or uri, uri, digest, store)
        count, rate, size = info.frames, 0.0, (info.width, info.height)
    first, last = _selected(clip.spec, count, uri)
    ref = ClipRef(first, last, clip.spec.every, rate, stills, form)
    return ImageRef(clip.name, uri, digest, _mask(clip, digests), link, size=size, clip=ref)


def _selected(spec: ContentSpec, count: int, uri: str) -> tuple[int, int]:
    """Return the first and the last frame of a selection, given the number of frames of the clip.

    Raises:
        InputError: The clip has not as many frames.
    """
    first, last = frames_of(spec.frames)
    last = count - 1 if last is None else last
    if last >= count or first > last:
        raise InputError(f"found frames: {spec.frames}, but {uri} has {count} frames", hint=f"they are 0-{count - 1}")
    return first, first + (last - first) // spec.every * spec.every


def _info(link: str, uri: str, digest: str, store: Store) -> ClipInfo:
    """Return what a file holds."""
    from tasks.clips.keeping import kept_info  # late: the extra `video` is needed for clips alone

    return kept_info(store, digest, uri, lambda: read_planned(link, digest, max_bytes=MOST_BYTES))


def _common_size(clip: FoundClip, digests: Digests) -> tuple[int, int] | None:
    """Return width and height of the stills of a sequence; None where planning cannot see them.

    Raises:
        InputError: They differ, or one is no picture.
    """
    size = None
    for stat in clip.files:
        seen = look_at_image(stat, digests)
        if seen.fault:
            raise InputError(seen.fault)
        if size and seen.size and seen.size != size:
            found, expected = (f"{width} x {height}" for width, height in (seen.size, size))
            raise InputError(f"{redacted(stat.key)} is {found} pixels, and the stills before it are {expected}")
        size = size or seen.size
    return size


def _mask(clip: FoundClip, digests: Digests) -> MaskRef | None:
    """Return the mask of a clip, which lies over all of its frames."""
    return image_refs([FoundImage(clip.name, None, clip.mask)], digests)[0].mask if clip.mask else None
