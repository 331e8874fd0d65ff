"""Writes GIF and animated WebP, frame by frame."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from PIL import GifImagePlugin, Image

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np


def write_gif(pictures: Iterable[np.ndarray], milliseconds: Sequence[int], target: Path) -> None:
    """Write a GIF that repeats for ever; each frame has its own palette of up to 256 colours, without dithering.

    Dithering would make noise that moves where the picture stands still. The palette is that of an octree, in 5 ms for
    a frame of 640 x 360 where a median cut takes 300 (mean error 3.3 of 255 against 2.6). Pillow's own writer of
    several frames keeps them all in memory and joins equal ones; here the frames go to the file one by one (GIF89a
    specification, 1990).

    Args:
        pictures: uint8 RGB of shape (H, W, 3) each, of one size.
        milliseconds: How long each is shown; a GIF counts in hundredths of a second. At least 20: browsers show less as
            100.
        target: The file.

    Raises:
        InputError: A frame is shown for a shorter time.
    """
    _check_durations(milliseconds, 20, "GIF")
    with target.open("wb") as file:
        for number, (picture, duration) in enumerate(zip(pictures, milliseconds, strict=True)):
            if number == 0:
                height, width = picture.shape[:2]
                file.write(b"GIF89a" + struct.pack("<HHBBB", width, height, 0x70, 0, 0))
                file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")
            frame = Image.fromarray(picture).quantize(256, Image.Quantize.FASTOCTREE)
            file.writelines(GifImagePlugin.getdata(frame, duration=duration, include_color_table=True))
        file.write(b";")


def write_webp(pictures: Iterable[np.ndarray], milliseconds: Sequence[int], target: Path) -> None:
    """Write an animated WebP that repeats for ever, of quality 90. libwebp joins equal frames that follow each other.

    Args:
        pictures: As `write_gif`.
        milliseconds: How long each is shown. At least 11: browsers show less as 100.
        target: The file.

    Raises:
        InputError: A frame is shown for a shorter time.
    """
    _check_durations(milliseconds, 11, "WebP")
    frames = _Frames(iter(pictures), len(milliseconds))
    frames.save(target, "WEBP", save_all=True, duration=list(milliseconds), quality=90, method=4, loop=0)


def _check_durations(milliseconds: Sequence[int], least: int, kind: str) -> None:
    if min(milliseconds) < least:
        raise InputError(
            f"a {kind} cannot show a frame for {min(milliseconds)} ms, at least {least} are needed",
            hint="take every second frame, or write another kind of file",
        )


class _Frames(Image.Image):
    """A Pillow image of many frames, each of which is taken when it is asked for: one is in memory."""

    def __init__(self, pictures: Iterator[np.ndarray], count: int) -> None:
        super().__init__()
        self.n_frames = count
        self._pictures = pictures
        self._frame = -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to the next frame; going back, as Pillow does at the end, has no effect."""
        if frame > self._frame:
            image = Image.fromarray(next(self._pictures))
            self.im, self._mode, self._size = image.im, image.mode, image.size
            self._frame = frame

    def tell(self) -> int:
        """Return the number of the frame."""
        return self._frame
