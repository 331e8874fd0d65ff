"""What a clip holds: its frames and when each is shown, its size, its sound."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from tasks.clips.animations import animation_frames, is_animation
from tasks.clips.containers import opened
from tasks.clips.decoding import Decoder, shown_size
from tasks.inputs.reading import naming

if TYPE_CHECKING:
    from tasks.clips.containers import Opened

_UNKNOWN_RATE: Final = Fraction(24)
"""Frames per second of a clip that says nothing of it."""


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a clip holds.

    Attributes:
        width: Width of its frames in pixels as they are shown: upright, with square pixels.
        height: Height likewise.
        times: When each frame is shown, in the order in which they are shown, in units of `time_base`; rising.
        time_base: Unit of `times` in seconds.
        rate: Average number of frames per second.
        audio: Number of audio tracks.
        container: Name of the kind of file: FFmpeg's, or `gif`, `webp` or `png`.
        own_times: Whether the times are those that the container states; else they were counted from its rate.
    """

    width: int
    height: int
    times: tuple[int, ...]
    time_base: Fraction
    rate: Fraction
    audio: int
    container: str
    own_times: bool = True

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.times)

    @property
    def seconds(self) -> tuple[Fraction, ...]:
        """When each frame is shown, in seconds."""
        return tuple(time * self.time_base for time in self.times)


def probe(data: bytes, name: str) -> ClipInfo:
    """Return what the clip in a file's bytes holds. It decodes the whole clip: what is counted can be read.

    Files are judged by their content, not by their name. Where a container states no rising times of presentation (AVI
    states none), frames are taken to be shown at its average rate.

    Args:
        data: Bytes of the whole file.
        name: What errors call it.

    Raises:
        InputError: It is no clip, holds no video or no frame, is truncated, damaged, or larger than is accepted.
    """
    with naming(name):
        if is_animation(data):
            return _probe_animation(data)
        _refuse_still(data)
        with opened(data) as clip:
            return _probe_container(clip)


def _refuse_still(data: bytes) -> None:
    """Refuse a still picture, which FFmpeg would take for a clip of one frame or for nothing at all."""
    kinds = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    kind = next((kind for start, kind in kinds.items() if data.startswith(start)), None)
    if data[4:8] == b"ftyp" and data[8:12] in {b"heic", b"heix", b"mif1", b"avif"}:
        kind = "HEIF"
    if kind:
        raise InputError(f"the file is a still {kind} picture, not a clip", hint="name it as an image")


def _probe_animation(data: bytes) -> ClipInfo:
    times, now, size = [], 0, (0, 0)
    for duration, picture in animation_frames(data):
        times.append(now)
        now += duration
        size = (picture.shape[1], picture.shape[0])
    kind = {b"G": "gif", b"R": "webp"}.get(data[:1], "png")
    return ClipInfo(*size, tuple(times), Fraction(1, 1000), Fraction(1000 * len(times), now), 0, kind)


def _probe_container(clip: Opened) -> ClipInfo:
    decoder, size = Decoder(clip), (0, 0)
    stated: list[int | None] = []
    for frame in decoder:
        size = size if stated else shown_size(frame, clip.video.sample_aspect_ratio)
        stated.append(frame.pts)
    decoder.check_whole()
    if not stated:
        raise InputError("the clip has no frame that can be decoded")
    container = clip.container.format.name
    times = [time for time in stated if time is not None]
    own_times = len(times) == len(stated) and all(a < b for a, b in pairwise(times))
    rate = _rate(clip, times if own_times else [])
    time_base = clip.video.time_base or 1 / rate
    if not own_times:
        times, time_base = list(range(len(stated))), 1 / rate
    audio = len(clip.container.streams.audio)
    return ClipInfo(*size, tuple(times), time_base, rate, audio, container, own_times)


def _rate(clip: Opened, times: list[int]) -> Fraction:
    """Return the average number of frames per second: by their times, else as the container states it."""
    if len(times) > 1 and clip.video.time_base:
        return Fraction(len(times) - 1) / ((times[-1] - times[0]) * clip.video.time_base)
    return Fraction(clip.video.average_rate or clip.video.guessed_rate or _UNKNOWN_RATE)
