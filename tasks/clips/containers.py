"""Opens a clip's bytes as a container of FFmpeg, safely: bounded, and without a way to other files or to the network.

FFmpeg judges a file by its content and not by its name. Among the formats that it knows are playlists, which name
other files; only those of `_FORMATS` are tried, none of which does.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

from nst.errors import InputError
from nst.pictures.decoding import MAX_PIXELS
from tasks.clips.boxes import check_boxes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from av.container import InputContainer
    from av.video.stream import VideoStream

MAX_BYTES: Final = 2**30
"""Largest size of a clip's file in bytes."""

MAX_FRAMES: Final = 20_000
"""Largest number of frames of a clip: fourteen minutes at 24 frames per second."""

MAX_TOTAL_PIXELS: Final = 25_000_000_000
"""Largest number of pixels of all frames of a clip together: 12,000 frames of 1920 x 1080, two minutes of decoding."""

_FORMATS: Final = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "mpeg", "flv", "asf", "ogg", "mxf", "nut", "ivf"),
    *("mp3", "wav", "flac", "aac"),  # sound alone, so that the message can say so
)
"""The formats that are tried, by FFmpeg's names."""

_PATIENCE: Final = 60.0
"""Longest time in seconds that FFmpeg may take to open a file, and to give its next packet."""

_FAILURES = (ArithmeticError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError)
"""Errors that PyAV raises on broken files; its own errors are subclasses of some of these or of `FFmpegError`."""


def library() -> ModuleType:
    """Return PyAV.

    Raises:
        InputError: It is not installed.
    """
    try:
        import av
        import av.error
    except ImportError as error:
        raise InputError(f"clips need the extra 'video': {error}", hint="pip install 'nst-batch[video]'") from error
    return av


@dataclass(frozen=True, slots=True)
class Opened:
    """A clip that is open for reading: its container and the video track that counts, which is the first one."""

    container: InputContainer
    video: VideoStream


@contextlib.contextmanager
def opened(data: bytes) -> Iterator[Opened]:
    """Open the clip in a file's bytes; whatever FFmpeg finds wrong inside the context becomes an `InputError`.

    Raises:
        InputError: The file is empty, too large, no clip, has no video track, or no decoder for it.
    """
    check_bytes(data)
    check_boxes(data)
    with telling(), open_container(data) as container:
        video = _video(container)
        context = video.codec_context
        # Threads would make what a decoder conceals in damaged frames depend on their timing.
        context.thread_count = 1
        context.options = {"max_pixels": str(MAX_PIXELS)}
        check_size(context.width, context.height)
        yield Opened(container, video)


def open_container(data: bytes) -> InputContainer:
    """Return the container in a file's bytes, whatever tracks it has; errors are PyAV's."""
    options = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "none"}
    container: InputContainer = library().open(
        BytesIO(data), options=options, metadata_errors="ignore", timeout=_PATIENCE
    )
    return container


@contextlib.contextmanager
def telling() -> Iterator[None]:
    """Turn the errors of PyAV that are raised inside the context into one `InputError`."""
    av = library()
    try:
        yield
    except InputError:
        raise
    except av.error.FFmpegError as error:
        reason = (error.strerror or "").lower() or type(error).__name__
        raise InputError(f"not a clip that can be read: {reason}", hint=_HINT) from error
    except _FAILURES as error:
        reason = str(error).strip() or type(error).__name__
        raise InputError(f"not a clip that can be read: {reason}", hint=_HINT) from error


_HINT = (
    "known: MP4, MOV, Matroska, WebM, AVI, MPEG, FLV, ASF, Ogg, MXF, GIF, animated WebP and PNG; truncated or corrupt?"
)


def check_bytes(data: bytes) -> None:
    """Refuse an empty file and one of more than `MAX_BYTES` bytes.

    Raises:
        InputError: It is one.
    """
    if not data:
        raise InputError("the file is empty")
    if len(data) > MAX_BYTES:
        raise InputError(f"the clip has {len(data):,} bytes, more than the {MAX_BYTES:,} that are accepted")


def check_size(width: int, height: int) -> None:
    """Refuse frames without a pixel and frames of more than `MAX_PIXELS` pixels.

    Raises:
        InputError: They are such.
    """
    if width < 1 or height < 1:
        raise InputError(f"the frames of the clip are {width} x {height} pixels, so they have no pixel")
    if width * height > MAX_PIXELS:
        raise InputError(
            f"the frames of the clip are {width} x {height} = {width * height:,} pixels, more than the {MAX_PIXELS:,} "
            "accepted",
            hint="scale it down first",
        )


def check_amount(frames: int, width: int, height: int) -> None:
    """Refuse clips of more than `MAX_FRAMES` frames or `MAX_TOTAL_PIXELS` pixels, given the frames found so far.

    Raises:
        InputError: It is such a clip.
    """
    if frames > MAX_FRAMES:
        raise InputError(f"the clip has more than the {MAX_FRAMES:,} frames that are accepted", hint="cut it first")
    if frames * width * height > MAX_TOTAL_PIXELS:
        raise InputError(
            f"the clip has more than the {MAX_TOTAL_PIXELS:,} pixels in all frames together that are accepted; a frame "
            f"has {width} x {height}",
            hint="cut it or scale it down first",
        )


def _video(container: InputContainer) -> VideoStream:
    """Return the first video track that is no cover picture, and for which there is a decoder."""
    from av.stream import Disposition

    tracks = [track for track in container.streams.video if not track.disposition & Disposition.attached_pic]
    if not tracks and not container.streams.audio:
        hint = "truncated? an MP4 may name its tracks at its end"
        raise InputError("the file has neither a video track nor sound", hint=hint)
    if not tracks:
        sound = len(container.streams.audio)
        raise InputError(f"the file has no video track; it has {sound} audio track{'s' * (sound != 1)}")
    if tracks[0].codec_context is None:
        raise InputError("the video track is encrypted, or of a codec that cannot be decoded")
    return tracks[0]
