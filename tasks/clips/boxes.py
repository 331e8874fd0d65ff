"""Refuses MP4 and MOV files whose boxes promise samples by the million, before FFmpeg makes a list of them.

A few bytes can say "two thousand million samples of one byte each". FFmpeg writes an index entry for each when it opens
the file: 80 million take 5 GB and 50 seconds. Every sample has at least one byte in the file, and a clip that is
accepted has fewer than `_MAX_SAMPLES`. (ISO/IEC 14496-12, 8.7.3 for `stsz` and 8.8.8 for `trun`.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_SAMPLES: Final = 20_000_000
"""Largest number of samples of a track: seven minutes of uncompressed sound, whose samples are counted one by one."""

_MAX_BOXES: Final = 150_000
"""Largest number of boxes: live recordings with a fragment for each frame have seven for each."""

_HOLDERS: Final = {
    *(b"moov", b"moof", b"trak", b"traf", b"mdia", b"minf", b"stbl", b"mvex", b"edts", b"udta", b"meta", b"ilst"),
    *(b"wave", b"sinf", b"schi", b"dinf", b"tref", b"gmhd", b"hoov"),
}
"""Boxes that hold boxes, wherever they stand: FFmpeg looks into them even where the standard has none."""


def check_boxes(data: bytes) -> None:
    """Refuse an MP4 or MOV file that promises more samples than it can have; other files pass.

    Raises:
        InputError: It does, its header is compressed, or it has too many boxes.
    """
    for count, (kind, start) in enumerate(_boxes(data)):
        if count >= _MAX_BOXES:
            raise InputError(f"the clip has more than {_MAX_BOXES:,} boxes in its header, more than are accepted")
        if kind == b"cmov":
            raise InputError("the header of the clip is compressed, which is not accepted", hint="convert it first")
        samples = _samples(data, kind, start)
        if samples > min(len(data), _MAX_SAMPLES):
            raise InputError(
                f"the clip promises {samples:,} samples in one track, more than its {len(data):,} bytes can hold or "
                f"than the {_MAX_SAMPLES:,} that are accepted",
                hint="truncated or corrupt?",
            )


def _samples(data: bytes, kind: bytes, start: int) -> int:
    """Return how many samples a box promises, given where its contents start; 0 for those that promise none."""
    offset = {b"stsz": 8, b"stz2": 8, b"trun": 4}.get(kind)
    return int.from_bytes(data[start + offset : start + offset + 4], "big") if offset is not None else 0


def _boxes(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the kind of each box, those in other boxes included, and where its contents start."""
    left = [(0, len(data))]
    while left:
        start, end = left.pop()
        while start + 8 <= end:
            size, kind, head = int.from_bytes(data[start : start + 4], "big"), data[start + 4 : start + 8], 8
            if size == 1:
                size, head = int.from_bytes(data[start + 8 : start + 16], "big"), 16
            stop = min(end, start + size) if size else end
            if stop < start + head:
                break
            yield kind, start + head
            if kind in _HOLDERS:
                left.append((start + head + 4 * (kind == b"meta"), stop))
            start = stop
