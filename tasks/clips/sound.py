"""Copies the audio packets of a clip into another container, bit for bit."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from nst.errors import InputError
from tasks.clips.containers import check_bytes, library, open_container

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.packet import Packet

Span = tuple[Fraction, Fraction]
"""From when to when, in seconds."""


class Sound:
    """The audio tracks of a clip on their way into another container, with the times that they have.

    Args:
        data: Bytes of the clip's file. It may have no audio track.
        output: Where the packets go, before anything is written into it.
        within: Copy only the packets that sound between these moments; None for all. Packets are not cut: a track may
            begin and end up to one packet (of AAC 1024 samples) outside.

    Raises:
        InputError: The container cannot hold a track.
    """

    def __init__(self, data: bytes, output: OutputContainer, within: Span | None) -> None:
        check_bytes(data)
        self._source = open_container(data)
        self._output = output
        self._within = within
        self._tracks = {track.index: self._added(track) for track in self._source.streams.audio}
        self._packets = self._wanted()
        self._next = next(self._packets, None)

    def write_until(self, moment: Fraction | None) -> None:
        """Write the packets that begin before a moment in seconds, or all that are left.

        Raises:
            InputError: A packet cannot be read or written.
        """
        try:
            while self._next is not None and (moment is None or _start(self._next) < moment):
                packet = self._next
                packet.stream = self._tracks[packet.stream_index]
                self._output.mux_one(packet)
                self._next = next(self._packets, None)
        except library().error.FFmpegError as error:
            reason = (error.strerror or "").lower()
            raise InputError(
                f"the sound of the clip cannot be copied: {reason}", hint="write the clip without sound"
            ) from error

    def close(self) -> None:
        """Close the clip."""
        self._source.close()

    def _added(self, track: AudioStream) -> AudioStream:
        try:
            return self._output.add_stream_from_template(track)
        except ValueError as error:
            raise InputError(
                f"the sound of the clip is {track.codec_context.name}, which {self._output.format.name} cannot hold",
                hint="write a .mkv file, which can",
            ) from error

    def _wanted(self) -> Iterator[Packet[AudioStream]]:
        tracks = self._source.streams.audio
        if not tracks:
            return
        for packet in self._source.demux(tracks):
            if packet.size and (self._within is None or _sounds(packet, *self._within)):
                yield packet


def _start(packet: Packet[AudioStream]) -> Fraction:
    time = packet.pts if packet.pts is not None else packet.dts
    return (time or 0) * packet.time_base


def _sounds(packet: Packet[AudioStream], start: Fraction, end: Fraction) -> bool:
    begins = _start(packet)
    return begins < end and begins + (packet.duration or 0) * packet.time_base > start
