"""Writes frames as a clip, with the times that they are given and the sound of another clip.

Equal arguments give equal bytes with one version of the libraries: encoders run in one thread, and no date, random
number or version is written.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final, Literal

from nst.errors import InputError
from tasks.clips.animating import write_gif, write_webp
from tasks.clips.containers import library
from tasks.clips.encoding import CODECS, Footage, add_track, encoded, lasting
from tasks.clips.sound import Sound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tasks.clips.sound import Span

Kind = Literal["h264", "vp9", "av1", "ffv1", "gif", "webp"]

EXTENSIONS: Final[Mapping[Kind, tuple[str, ...]]] = {
    "h264": (".mp4", ".mov", ".mkv"),
    "vp9": (".mp4", ".webm", ".mkv"),
    "av1": (".mp4", ".webm", ".mkv"),
    "ffv1": (".mkv",),
    "gif": (".gif",),
    "webp": (".webp",),
}
"""Endings of the files that can hold each kind; the first is the usual one. MP4 and MOV keep times exactly, Matroska
and WebM to a millisecond; WebM holds no sound but Opus and Vorbis."""


_FINE: Final = 400_000
"""Units per second that tell samples of 192 kHz apart."""

_MATROSKA_OPTIONS: Final = {"avoid_negative_ts": "disabled"}
"""Without it FFmpeg moves frames and sound until the first packet of AAC, which begins before 0, begins at 0."""

_TICKS: Final = 2**31 - 1
"""Largest number of units per second that an MP4 file can state."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was written.

    Attributes:
        width: Width of the clip's frames in pixels. H.264 and AV1 hold even widths and heights alone; to an odd one one
            column or row is added, which repeats the last one.
        height: Height likewise.
        times: When each frame is shown, in seconds, as the file states it.
    """

    width: int
    height: int
    times: tuple[Fraction, ...]


def write_clip(
    pictures: Iterable[np.ndarray],
    times: Sequence[int],
    time_base: Fraction,
    kind: Kind,
    target: Path,
    *,
    end: int | None = None,
    audio_from: bytes | None = None,
    audio_within: Span | None = None,
) -> Written:
    """Write a clip; the pictures are taken one by one, and few are in memory at a time.

    YUV kinds are of BT.709 and limited range, and say so. FFV1 is lossless. MP4 files begin with their index. GIF and
    WebP hold no sound and begin at 0: the first of `times` is subtracted; a GIF counts in hundredths of a second, a
    WebP in milliseconds, both rounded without drift.

    Args:
        pictures: uint8 RGB of shape (H, W, 3) each, of one size, as many as there are times.
        times: When each is shown, in units of `time_base`; rising.
        time_base: In seconds.
        kind: How the frames are encoded.
        target: The file; its ending chooses the container among `EXTENSIONS[kind]`. It is removed where writing fails.
        end: When the last frame ends; by default it is shown as long as the one before it, a single one for 1/24 s.
        audio_from: Bytes of the clip whose audio tracks are copied, with the times that they have there.
        audio_within: From when to when in seconds they are copied; None for all, see `tasks.clips.sound.Sound`.

    Raises:
        InputError: The container cannot hold the sound or the times, or the encoder not the size.
    """
    if target.suffix.lower() not in EXTENSIONS[kind]:
        raise InputError(f"{target.name} cannot hold {kind}, expected {' or '.join(EXTENSIONS[kind])}")
    assert all(a < b for a, b in pairwise(times)), times
    ends = [*times[1:], _end(times, time_base) if end is None else end]
    iterator = iter(pictures)
    first = next(iterator, None)
    assert first is not None, "a clip has a frame"
    clip = Footage(first.shape[1], first.shape[0], chain([first], iterator), times, ends, time_base)
    try:
        if kind in {"gif", "webp"}:
            return _write_animation(clip, kind, target)
        with _telling(kind, clip):
            return _write_video(clip, kind, target, audio_from, audio_within)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _end(times: Sequence[int], time_base: Fraction) -> int:
    last = times[-1] - times[-2] if len(times) > 1 else max(1, round(Fraction(1, 24) / time_base))
    return times[-1] + last


def _write_animation(clip: Footage, kind: Kind, target: Path) -> Written:
    step = 10 if kind == "gif" else 1
    moments = [(time - clip.times[0]) * clip.time_base * 1000 for time in (*clip.times, clip.ends[-1])]
    ticks = [round(moment / step) * step for moment in moments]
    write = write_gif if kind == "gif" else write_webp
    write(clip.pictures, [b - a for a, b in pairwise(ticks)], target)
    return Written(clip.width, clip.height, tuple(Fraction(tick, 1000) for tick in ticks[:-1]))


@contextlib.contextmanager
def _telling(kind: Kind, clip: Footage) -> Iterator[None]:
    """Turn errors of encoders and containers into one `InputError`."""
    try:
        yield
    except library().error.FFmpegError as error:
        reason = (error.strerror or "").lower()
        raise InputError(f"frames of {clip.width} x {clip.height} cannot be written as {kind}: {reason}") from error


def _write_video(
    clip: Footage, kind: Kind, target: Path, audio_from: bytes | None, audio_within: Span | None
) -> Written:
    codec, is_mp4 = CODECS[kind], target.suffix.lower() in {".mp4", ".mov"}
    size = _padded(clip.width, codec.multiple), _padded(clip.height, codec.multiple)
    times = tuple(time * clip.time_base for time in clip.times)
    if not is_mp4:
        times = tuple(Fraction(math.floor(time * 1000 + Fraction(1, 2)), 1000) for time in times)
        if any(a >= b for a, b in pairwise(times)):
            raise InputError(f"{target.name} keeps times to a millisecond, and frames come faster", hint="write .mp4")
    with contextlib.ExitStack() as stack:
        options = _mp4_options(clip.time_base) if is_mp4 else _MATROSKA_OPTIONS
        output = stack.enter_context(library().open(str(target), "w", options={"fflags": "+bitexact", **options}))
        stream = add_track(output, codec, size, clip)
        sound = Sound(audio_from, output, audio_within) if audio_from is not None else None
        if sound:
            stack.callback(sound.close)
        for packet in lasting(encoded(stream, clip, size, codec.pixels), clip, in_order_of_decoding=is_mp4):
            if sound:
                sound.write_until((packet.dts or 0) * clip.time_base)
            output.mux_one(packet)
        if sound:
            sound.write_until(None)
    return Written(*size, times)


def _padded(side: int, multiple: int) -> int:
    """Return the smallest multiple that is not smaller than the side of a frame."""
    return math.ceil(side / multiple) * multiple


def _mp4_options(time_base: Fraction) -> dict[str, str]:
    """Return the options of an MP4 file: its index first, and offsets of tracks counted in a unit that is fine enough.

    The offset of a track that does not begin at 0 is stated in the unit of the whole file, by default a millisecond
    (ISO/IEC 14496-12, 8.6.6). The unit taken here divides that of the frames, and is finer than half a sample of sound.
    """
    unit = math.lcm(1000, time_base.denominator)
    unit *= math.ceil(_FINE / unit)
    if unit > _TICKS:
        unit = time_base.denominator
    if unit > _TICKS:
        raise InputError(f"times in units of {time_base} seconds are finer than an MP4 file can state")
    return {"movflags": "+faststart", "movie_timescale": str(unit)}
