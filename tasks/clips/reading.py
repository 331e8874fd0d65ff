"""Frames of a clip as arrays, in the order in which they are shown."""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, TypeVar

from nst.errors import InputError
from tasks.clips.animations import animation_frames, is_animation
from tasks.clips.containers import library, opened
from tasks.clips.decoding import Decoder, to_rgb

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    import numpy as np
    from av.video.frame import VideoFrame

    from tasks.clips.containers import Opened
    from tasks.clips.probe import ClipInfo

    Aspect = Fraction | None

T = TypeVar("T")

_INTRA: Final = 1
"""AV_PICTURE_TYPE_I."""

_SEEKABLE: Final = {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mjpeg", "ffv1", "prores"}
"""Codecs whose frames behind an intra-coded key frame need nothing before it."""


def frames(data: bytes, wanted: Sequence[int], info: ClipInfo | None = None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number and the picture of each wanted frame, uint8 RGB of shape (H, W, 3), as it is shown.

    Rotation, colour, transparency and pixels that are not square are treated as `tasks.clips.decoding.to_rgb` says.
    Decoding stops behind the last wanted frame. With `info` it begins at the last key frame before the first wanted
    one, where that gives the same pictures; else at the start of the clip.

    Args:
        data: Bytes of the whole file.
        wanted: Numbers of the frames, from zero, rising.
        info: What `probe` found.

    Raises:
        InputError: It is no clip, is damaged before the last wanted frame, or has fewer frames.
    """
    assert all(a < b for a, b in pairwise(wanted)), wanted
    assert not wanted or wanted[0] >= 0, wanted
    if not wanted:
        return
    if is_animation(data):
        yield from _chosen(enumerate(picture for _, picture in animation_frames(data)), wanted)
        return
    library()
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    for number, (frame, aspect) in _chosen(_numbered(data, wanted[0], info), wanted):
        yield number, to_rgb(frame, aspect, reformatter)


def _chosen(numbered: Iterator[tuple[int, T]], wanted: Sequence[int]) -> Iterator[tuple[int, T]]:
    """Yield the wanted ones of numbered frames, and ask for none behind the last."""
    left, number = set(wanted), -1
    for number, frame in numbered:
        if number in left:
            yield number, frame
            left.discard(number)
        if not left:
            return
    raise _too_few(min(left), number + 1)


def _too_few(number: int, count: int) -> InputError:
    return InputError(f"frame {number:,} is asked for, and the clip has {count:,} frames, numbered from 0")


def _numbered(data: bytes, first: int, info: ClipInfo | None) -> Iterator[tuple[int, tuple[VideoFrame, Aspect]]]:
    """Yield frames with their numbers and the shape of their pixels, beginning at or before the first wanted one."""
    if info is not None and info.own_times and 0 < first < info.frames:
        with opened(data) as clip:
            clip.container.seek(info.times[first], stream=clip.video)
            decoder = Decoder(clip)
            decoded = iter(decoder)
            key = next(decoded, None)
            if key is not None and _needs_nothing_before(key, clip) and key.pts in info.times[: first + 1]:
                numbers = {time: number for number, time in enumerate(info.times)}
                decoder.frames += numbers[key.pts]
                for frame in chain([key], decoded):
                    if frame.pts in numbers:
                        yield numbers[frame.pts], (frame, clip.video.sample_aspect_ratio)
                return
    with opened(data) as clip:
        for number, frame in enumerate(Decoder(clip)):
            yield number, (frame, clip.video.sample_aspect_ratio)


def _needs_nothing_before(frame: VideoFrame, clip: Opened) -> bool:
    """Return whether a frame, the first one that came after a jump, and all that follow are as without the jump.

    A key frame that is not intra-coded refreshes the picture little by little; frames that come before their key frame
    refer to frames before the jump.
    """
    return bool(frame.key_frame) and frame.pict_type == _INTRA and clip.video.codec_context.name in _SEEKABLE
