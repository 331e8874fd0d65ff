"""Encodes frames as packets of a video track: H.264, VP9, AV1 and FFV1."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

import numpy as np

from nst.errors import InputError
from tasks.clips.containers import library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


@dataclass(frozen=True, slots=True)
class Codec:
    """How a kind is encoded.

    Attributes:
        name: FFmpeg's name of the encoder.
        pixels: Its format of pixels.
        multiple: Width and height must be multiples of this.
        options: Of the encoder.
    """

    name: str
    pixels: str
    multiple: int
    options: Mapping[str, str]


CODECS: Final[Mapping[str, Codec]] = {
    # Macroblock trees: their vector code made other bytes of equal frames in one of twenty runs (x264 in PyAV 18.1).
    "h264": Codec("libx264", "yuv420p", 2, {"crf": "16", "preset": "medium", "x264-params": "mbtree=0"}),
    "vp9": Codec("libvpx-vp9", "yuv420p", 1, {"crf": "20", "b": "0", "deadline": "good", "cpu-used": "4"}),
    "av1": Codec("libsvtav1", "yuv420p", 2, {"crf": "20", "preset": "8", "svtav1-params": "lp=1"}),
    "ffv1": Codec("ffv1", "bgr0", 1, {"level": "3", "slicecrc": "1"}),
}

_BITEXACT: Final = 1 << 23
"""AV_CODEC_FLAG_BITEXACT: no version of the library is written."""

_BT709: Final = 1
"""AVCOL_SPC_BT709, AVCOL_PRI_BT709 and AVCOL_TRC_BT709."""

_LIMITED: Final = 1
"""AVCOL_RANGE_MPEG."""


@dataclass(frozen=True, slots=True)
class Footage:
    """What is written: pictures of one size, when each begins and ends to be shown in units of `time_base`."""

    width: int
    height: int
    pictures: Iterable[np.ndarray]
    times: Sequence[int]
    ends: Sequence[int]
    time_base: Fraction


def add_track(output: OutputContainer, codec: Codec, size: tuple[int, int], clip: Footage) -> VideoStream:
    """Add the video track to an output."""
    os.environ.setdefault("SVT_LOG", "0")  # the encoder of AV1 would print its settings
    seconds = (clip.ends[-1] - clip.times[0]) * clip.time_base
    rate = Fraction(len(clip.times) / seconds).limit_denominator(1001)
    stream = cast("VideoStream", output.add_stream(codec.name, rate=rate, options=dict(codec.options)))
    stream.width, stream.height = size
    stream.pix_fmt = codec.pixels
    stream.time_base = clip.time_base
    context = stream.codec_context
    context.time_base = clip.time_base
    context.thread_count = 1
    context.flags |= _BITEXACT
    if codec.pixels.startswith("yuv"):
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
    return stream


def encoded(stream: VideoStream, clip: Footage, size: tuple[int, int], pixels: str) -> Iterator[Packet[VideoStream]]:
    """Yield the packets of all frames."""
    av = library()
    from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

    reformatter, yuv = VideoReformatter(), pixels.startswith("yuv")
    flags = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    for picture, time in zip(clip.pictures, clip.times, strict=True):
        if picture.shape != (clip.height, clip.width, 3):
            raise InputError(f"a frame has the shape {picture.shape}, and the first one {(clip.height, clip.width, 3)}")
        extra = [(0, size[1] - clip.height), (0, size[0] - clip.width), (0, 0)]
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.pad(picture, extra, "edge")), "rgb24")
        frame: VideoFrame = reformatter.reformat(
            rgb,
            format=pixels,
            dst_colorspace=Colorspace.ITU709 if yuv else None,
            dst_color_range=ColorRange.MPEG if yuv else None,
            interpolation=flags,
            threads=1,
        )
        frame.pts, frame.time_base = time, clip.time_base
        yield from stream.encode(frame)
    yield from stream.encode(None)


def lasting(
    packets: Iterable[Packet[VideoStream]], clip: Footage, *, in_order_of_decoding: bool
) -> Iterator[Packet[VideoStream]]:
    """Yield packets with their durations: how long the frame of each is shown.

    Args:
        packets: The packets of all frames.
        clip: What they were made of.
        in_order_of_decoding: The container states the length of its track as the time between the first packet and the
            last one in the order of decoding, and the duration of that one, which is not the last one that is shown.
    """
    durations = {start: end - start for start, end in zip(clip.times, clip.ends, strict=True)}
    held, first = None, 0
    for packet in packets:
        packet.duration = durations[cast("int", packet.pts)]
        if held is None:
            first = packet.dts or 0
        else:
            yield held
        held = packet
    if held is not None:
        if in_order_of_decoding:
            held.duration = max(1, clip.ends[-1] - clip.times[0] - ((held.dts or 0) - first))
        yield held
