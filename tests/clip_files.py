"""Clips that tests make with PyAV itself, without `tasks.clips.writing`."""

from __future__ import annotations

import io
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np


def picture(number=0, height=48, width=64):
    """A frame whose brightness is its number, with a red quarter at the top left and a blue one at the bottom right."""
    array = np.full((height, width, 3), 10 + 5 * number % 240, np.uint8)
    array[: height // 2, : width // 2] = (200, 30, 30)
    array[height // 2 :, width // 2 :] = (30, 30, 200)
    return array


def number_of(array):
    """The number of a frame that `picture` made, read from its top right quarter."""
    height, width = array.shape[:2]
    return round((float(array[: height // 3, -width // 3 :].mean()) - 10) / 5)


def clip(
    kind="mp4",
    codec="libx264",
    *,
    times=range(30),
    time_base=Fraction(1, 24),
    pixels="yuv420p",
    size=(48, 64),
    matrix=None,
    options=None,
    sound=0,
    container_options=None,
):
    """Bytes of a clip with frames of `picture` at the given times and `sound` audio tracks of a second each."""
    out = io.BytesIO()
    with av.open(out, "w", format=kind, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=24, options=options or {})
        stream.height, stream.width = size
        stream.pix_fmt = pixels
        stream.time_base = stream.codec_context.time_base = time_base
        if matrix is not None:
            stream.set_display_matrix(matrix)
        tracks = [container.add_stream("aac", rate=44100) for _ in range(sound)]
        for position, track in enumerate(tracks):
            mux_tone(container, track, 220 * (position + 1))
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = time, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def mux_tone(container, track, hertz):
    """Encode a second of a tone."""
    wave = np.sin(np.arange(44100) * 2 * np.pi * hertz / 44100).astype(np.float32)[None]
    for start in range(0, 44100, 1024):
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, start : start + 1024]), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        container.mux(track.encode(frame))
    container.mux(track.encode(None))


def sound_only():
    """Bytes of an MP4 file with sound and no picture."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        mux_tone(container, container.add_stream("aac", rate=44100), 440)
    return out.getvalue()


def yuv_clip(planes, pixels, colorspace, color_range):
    """Bytes of a lossless clip of one frame of given YUV codes, each plane of shape (H, W)."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=24, options={"level": "3"})
        stream.height, stream.width = planes[0].shape
        stream.pix_fmt = pixels
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], pixels)
        for plane, values in zip(frame.planes, planes, strict=True):
            line = np.zeros((values.shape[0], plane.line_size // values.itemsize), values.dtype)
            line[:, : values.shape[1]] = values
            plane.update(line.tobytes())
        frame.colorspace, frame.color_range = colorspace, color_range
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def stated_times(data):
    """When each frame is shown, in seconds, read with PyAV alone."""
    with av.open(io.BytesIO(data)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def sound_packets(data):
    """For each audio track its packets: when each begins in seconds, and its bytes."""
    with av.open(io.BytesIO(data)) as container:
        tracks = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux():
            if packet.size and packet.stream_index in tracks:
                tracks[packet.stream_index].append((packet.pts * packet.time_base, bytes(packet)))
    return list(tracks.values())


@cache
def bunny(root):
    """Ten seconds of Big Buck Bunny, 240 frames of 640 x 360 with one audio track."""
    return (Path(root) / "video" / "cutBunny.mp4").read_bytes()
