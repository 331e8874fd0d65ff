"""The frames of an open clip in the order in which they are shown, and each as an upright RGB picture."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from nst.errors import InputError
from tasks.clips.containers import check_amount, check_size, library

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.buffer import Buffer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

    from tasks.clips.containers import Opened

_UNSPECIFIED: Final = 2
"""AVCOL_SPC_UNSPECIFIED: the clip does not say which matrix made its YUV."""

_MAX_PACKETS: Final = 1_000_000
"""Largest number of packets of all tracks of a clip: Matroska can state 256 empty ones in a block of ten bytes."""


class Decoder:
    """Decodes the frames of a clip one after another.

    Packets that cannot be decoded before the first frame are left out, since a recording may begin between two whole
    pictures; later ones mean that the clip is damaged.

    Attributes:
        packets: Number of packets of the video track that were read.
        frames: Number of frames that were decoded, or were passed by a jump, for whoever jumps to add.
        end: When the last packet that was read ends, of any track, in seconds.
    """

    def __init__(self, clip: Opened) -> None:
        self.packets = 0
        self.frames = 0
        self.end = Fraction(0)
        self._all_packets = 0
        self._clip = clip
        self._size: tuple[int, int] | None = None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Iterate over the frames from where the container stands.

        Raises:
            InputError: The clip is damaged, too long, or its frames differ in size.
        """
        failures = (library().error.FFmpegError, EOFError, OSError, ValueError)
        packets = self._clip.container.demux()
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = self._decode(packet)
            except failures as error:
                if self.frames:
                    raise self._damaged() from error
                continue
            for frame in frames:
                self._check(frame)
                yield frame

    def _decode(self, packet: Packet[Stream]) -> list[VideoFrame]:
        self._all_packets += 1
        if self._all_packets > _MAX_PACKETS:
            raise InputError(f"the clip has more than the {_MAX_PACKETS:,} packets that are accepted")
        if packet.pts is not None and packet.time_base:
            self.end = max(self.end, (packet.pts + (packet.duration or 0)) * packet.time_base)
        if packet.stream_index != self._clip.video.index:
            return []
        self.packets += packet.size > 0
        if packet.is_corrupt and self.frames:
            raise self._damaged()
        return cast("list[VideoFrame]", packet.decode())

    def _check(self, frame: VideoFrame) -> None:
        self.frames += 1
        size = (frame.width, frame.height)
        check_size(*size)
        check_amount(self.frames, *size)
        if self._size is not None and size != self._size:
            raise InputError(
                f"frame {self.frames - 1} of the clip is {size[0]} x {size[1]} pixels, and the frames before it are "
                f"{self._size[0]} x {self._size[1]}"
            )
        self._size = size

    def check_whole(self) -> None:
        """Refuse a clip whose container promises more than was found, at its end.

        MP4 and MOV list every packet, AVI states their number; Matroska and WebM state the length of the whole clip, of
        which a tenth of a second may be missing, since the duration of the last packet is not always stated.

        Raises:
            InputError: It does.
        """
        if self._clip.container.format.name.startswith("matroska"):
            whole = self._length() - self.end <= Fraction(1, 10)
        else:
            whole = self._promised() <= self.packets
        if not whole:
            raise self._damaged()

    def _promised(self) -> int:
        """Return how many frames the container promises; 0 where it does not say."""
        video, kind = self._clip.video, self._clip.container.format.name
        if kind.startswith("mov"):
            return len(video.index_entries)
        if kind.startswith("matroska"):
            return round(self._length() * (video.average_rate or 0))
        return video.frames

    def _length(self) -> Fraction:
        """Return how long the container says that the clip is, in seconds; 0 where it does not say."""
        return Fraction(self._clip.container.duration or 0, 1_000_000)

    def _damaged(self) -> InputError:
        """Return the error that says how many frames could be decoded, and of how many if that is known."""
        promised = self._promised()
        of = f" of {promised:,}" if promised > self.frames else ""
        plural = "" if self.frames == 1 and not of else "s"
        return InputError(
            f"the clip is truncated or damaged: {self.frames:,}{of} frame{plural} can be decoded",
            hint="copy it again, or cut it to the frames that are whole",
        )


def shown_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Return (width, height) at which a frame is shown: its pixels made square, and upright.

    Args:
        frame: As it was decoded.
        aspect: Width of a pixel divided by its height; None or 0 where the clip does not say, which means 1.
    """
    width = frame.width if not aspect else max(1, round(frame.width * aspect))
    size = (width, frame.height)
    check_size(*size)
    return size[::-1] if _turns(frame)[0] else size


def to_rgb(frame: VideoFrame, aspect: Fraction | None, reformatter: VideoReformatter) -> np.ndarray:
    """Return a frame as it is shown, uint8 RGB of shape (H, W, 3).

    YUV is converted with the matrix and the range that the clip states. Where it states no matrix, that of BT.709 is
    taken for frames of more than 576 lines or from 1280 columns on, else that of BT.601, as players do. Its range is
    limited unless it says that it is full. More than 8 bits are rounded. Transparency is laid over white, as that of
    stills is. Pixels that are not square are made square. HDR is not mapped: its codes are taken as they are. Fields
    of interlaced frames stay in one frame.

    Args:
        frame: As it was decoded.
        aspect: As `shown_size`.
        reformatter: What converts; one for all frames of a clip saves a millisecond for each.
    """
    from av.video.reformatter import Colorspace, Interpolation

    turned, left_right, up_down = _turns(frame)
    width, height = shown_size(frame, aspect)
    if turned:
        width, height = height, width
    high_definition = frame.height > 576 or frame.width >= 1280
    unspecified = Colorspace.ITU709 if high_definition else Colorspace.ITU601
    transparent = any(part.is_alpha for part in frame.format.components)
    picture = reformatter.reformat(
        frame,
        width,
        height,
        "rgba" if transparent else "rgb24",
        src_colorspace=unspecified if frame.colorspace == _UNSPECIFIED else None,
        interpolation=Interpolation.BICUBIC
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP
        | Interpolation.ACCURATE_RND
        | Interpolation.BITEXACT,
        threads=1,
    ).to_ndarray()
    if transparent:
        picture = over_white(picture)
    if turned:
        picture = picture.transpose(1, 0, 2)
    return np.ascontiguousarray(picture[:: -1 if up_down else 1, :: -1 if left_right else 1], dtype=np.uint8)


def over_white(picture: np.ndarray) -> np.ndarray:
    """Return a picture laid over white, uint8 RGB of shape (H, W, 3), given uint8 RGBA of shape (H, W, 4)."""
    alpha = picture[..., 3:].astype(np.uint16)
    return ((picture[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _turns(frame: VideoFrame) -> tuple[bool, bool, bool]:
    """Return how a frame is shown: whether transposed, then mirrored left to right, then upside down.

    A display matrix maps the point (x, y) to (a x + c y, b x + d y), with y downwards (ISO/IEC 14496-12, 6.2.2; FFmpeg,
    libavutil/display.h). Of any other than a right angle the nearest right angle is taken.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(memoryview(cast("Buffer", matrix))[:20], "<i4").tolist()
    turned = abs(b) + abs(c) > abs(a) + abs(d)
    return (True, c < 0, b < 0) if turned else (False, a < 0, d < 0)
