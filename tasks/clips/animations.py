"""The frames of GIF, animated WebP and animated PNG, which Pillow reads."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from nst.errors import InputError
from tasks.clips.containers import check_amount, check_bytes, check_size
from tasks.clips.decoding import over_white

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMATS: Final = ("GIF", "WEBP", "PNG")

_SHORTEST: Final = 10
"""Durations of a frame in milliseconds up to this are shown as `_USUAL`, as browsers do: old files say 0."""

_USUAL: Final = 100

_FAILURES = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zlib.error, Image.DecompressionBombError),
)


def is_animation(data: bytes) -> bool:
    """Return whether a file is one that this module reads, by its first bytes."""
    start = data[:16]
    if start.startswith(b"\x89PNG"):
        return 0 <= data.find(b"acTL") < data.find(b"IDAT")
    return start.startswith(b"GIF8") or (start.startswith(b"RIFF") and start[8:12] == b"WEBP")


def has_several_frames(data: bytes) -> bool:
    """Return whether a file is such a one with more than one frame: a GIF of one is a still. A broken file has none."""
    if not is_animation(data):
        return False
    try:
        with _open(data) as image:
            return getattr(image, "n_frames", 1) > 1
    except _FAILURES:
        return False


def animation_frames(data: bytes) -> Iterator[tuple[int, np.ndarray]]:
    """Yield how long each frame is shown, in milliseconds, and the frame, uint8 RGB of shape (H, W, 3), over white.

    Raises:
        InputError: The file is empty, too large, truncated or corrupt; it says how many frames could be decoded.
    """
    check_bytes(data)
    count = 0
    try:
        with _open(data) as image:
            check_size(*image.size)
            while (frame := _frame(image, count)) is not None:
                check_amount(count + 1, *image.size)
                yield frame
                count += 1
        _check_end(data)
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"a broken or unsupported animation; it starts with {data[:8]!r}") from None
    except _FAILURES as error:
        reason = str(error).strip() or type(error).__name__
        raise InputError(
            f"the clip is truncated or damaged: {count:,} frame{'s' * (count != 1)} can be decoded; {reason}",
            hint="copy it again",
        ) from error


def _open(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are about broken metadata and large sizes, which are checked here
        return Image.open(BytesIO(data), formats=_FORMATS)


def _frame(image: Image.Image, number: int) -> tuple[int, np.ndarray] | None:
    """Return how long a frame is shown, in milliseconds, and the frame; None behind the last one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not _seek(image, number):
            return None
        picture = over_white(np.asarray(image.convert("RGBA")))
    duration = round(float(image.info.get("duration") or 0))
    return (duration if duration > _SHORTEST else _USUAL), picture


def _seek(image: Image.Image, frame: int) -> bool:
    """Go to a frame; False behind the last one. The number of frames of a GIF shows itself only at its end."""
    if frame == 0:
        return True
    if image.format != "GIF" and frame >= getattr(image, "n_frames", 1):
        return False
    try:
        image.seek(frame)
    except EOFError:
        if image.format == "GIF":
            return False
        raise
    return True


def _check_end(data: bytes) -> None:
    """Raise the error of Pillow for a GIF that does not end as a GIF does, which Pillow overlooks between frames."""
    if data.startswith(b"GIF8") and not data.rstrip(b"\0").endswith(b";"):
        raise EOFError("the file ends too early")
