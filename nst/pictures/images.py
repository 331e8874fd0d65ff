"""Pictures as HWC uint8 RGB arrays: decoding, resizing, and encoding together with a record of what made them.

Never imports torch, so that galleries and tools may use it.
"""

from __future__ import annotations

import json
import math
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from PIL import ExifTags, Image, PngImagePlugin, UnidentifiedImageError

from nst.errors import InputError
from nst.pictures.decoding import FORMATS, MAX_BYTES, MAX_PIXELS, decode, decode_layers
from nst.yaml.json_text import from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nst.records import OutputFormat

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "Pixels",
    "cover",
    "decode",
    "decode_layers",
    "encode",
    "original_size",
    "read_provenance",
    "resize",
    "resize_to",
    "rotate",
    "style_size",
    "target_size",
    "thumbnail",
]

MAX_SIDE: Final = 16_384
"""Longest side in pixels of a picture, the largest `size` of a manifest (`nst.config.fields.Pixels`)."""

EXTENSIONS: Final = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
"""File extensions by `OutputFormat.format`."""

_KEY = "nst"
"""Keyword of the PNG text chunk that holds the provenance as JSON, and prefix of the EXIF description that does."""

_PNG_LEVEL = 4
"""Compression level of zlib. On stylized pictures of 512 pixels, level 1 saves a third of the 40 ms for 3 to 7 % more
bytes; levels 6 and 9 do not save a byte."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """One decoded image."""

    digest: str
    """SHA-256 of the bytes of the image's file."""
    array: np.ndarray
    """The image at its full size, HWC uint8 RGB, transparent pixels laid over white."""
    alpha: np.ndarray | None = None
    """How opaque each pixel of its file is, uint8 of shape (H, W); None if all are opaque."""
    scale: float = 1.0
    """Size of a style image, divided by the size that the method gives to style images."""

    @property
    def key(self) -> tuple[str, float]:
        """What distinguishes what a method makes of the image from what it makes of others."""
        return self.digest, self.scale


def target_size(width: int, height: int, size: int, side: Literal["long", "short"] = "long") -> tuple[int, int]:
    """Return (width, height) in the given proportions with `side` at `size` pixels; the other side is at least 1.

    Args:
        width: Width of the original.
        height: Height of the original.
        size: Wanted length of `side` in pixels.
        side: Which side becomes `size`.

    Raises:
        InputError: The picture would have more than `MAX_PIXELS` pixels, as a ribbon with its short side enlarged.
    """
    reference = max(width, height) if side == "long" else min(width, height)
    new = tuple(size if s == reference else max(1, round(s * size / reference)) for s in (width, height))
    if new[0] * new[1] > MAX_PIXELS:
        raise InputError(
            f"a picture of {width} x {height} with its {side} side at {size} would be {new[0]} x {new[1]} pixels",
            hint="resize by the long side, or crop it",
        )
    return new[0], new[1]


def original_size(width: int, height: int) -> tuple[int, int]:
    """Return (width, height) of a picture that has the size of its content, within the bounds of all pictures.

    Raises:
        InputError: A side is longer than `MAX_SIDE`.
    """
    if max(width, height) > MAX_SIDE:
        message = f"the content is {width} x {height} pixels, more than the {MAX_SIDE} that a side may have"
        raise InputError(message, hint="give `size` as a number")
    return width, height


def style_size(style: Pixels, long_side: float) -> tuple[int, int]:
    """Return (width, height) of a style image, given the long side in pixels of images of scale 1; at least 1 each."""
    height, width = style.array.shape[:2]
    scale = style.scale * long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def resize(array: np.ndarray, size: int, side: Literal["long", "short"] = "long") -> np.ndarray:
    """Return the picture with `side` at `size` pixels, its proportions kept up to rounding (`target_size`)."""
    height, width = array.shape[:2]
    return resize_to(array, *target_size(width, height, size, side))


def resize_to(array: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the picture, HWC or HW uint8, at `width` x `height` pixels, by Pillow's antialiased Lanczos filter."""
    if (array.shape[1], array.shape[0]) == (width, height):
        return np.ascontiguousarray(array)
    return np.array(Image.fromarray(array).resize((width, height), Image.Resampling.LANCZOS))


def cover(array: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the picture scaled until it covers `width` x `height` pixels, and cropped around its centre to that size.

    Args:
        array: HWC uint8.
        width: Width of the result.
        height: Height of the result.
    """
    rows, columns = array.shape[:2]
    inner_rows = max(1, min(rows, round(columns * height / width)))
    inner_columns = max(1, min(columns, round(rows * width / height)))
    top, left = (rows - inner_rows) // 2, (columns - inner_columns) // 2
    return resize_to(array[top : top + inner_rows, left : left + inner_columns], width, height)


def rotate(array: np.ndarray, degrees: float) -> np.ndarray:
    """Return the picture turned and cut so that no corner is empty, HWC uint8.

    The result is the largest part around the middle that has the picture's proportions.

    Args:
        array: HWC uint8.
        degrees: Turn counter-clockwise, -90..90.
    """
    if not degrees % 360:
        return np.ascontiguousarray(array)
    height, width = array.shape[:2]
    turn = math.radians(abs(degrees))
    share = 1 / (math.cos(turn) + math.sin(turn) * max(width / height, height / width))
    turned = Image.fromarray(array).rotate(degrees, Image.Resampling.BICUBIC)
    # One pixel less on each side, since interpolation mixes the empty outside into the outermost pixels.
    inner_width, inner_height = (max(1, int(side * share) - 2) for side in (width, height))
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return np.array(turned.crop((left, top, left + inner_width, top + inner_height)))


def encode(
    array: np.ndarray, output: OutputFormat, provenance: Mapping[str, str], alpha: np.ndarray | None = None
) -> bytes:
    """Return the bytes of the picture's file; equal arguments give equal bytes with one version of Pillow's codecs.

    Args:
        array: HWC uint8 RGB.
        output: Format and quality. JPEG is 4:4:4 from quality 90 on, since brush strokes show in the colour.
        provenance: Record of what made the picture, written into the file: in PNG as an iTXt chunk `nst`, in JPEG and
            WebP as EXIF ImageDescription `nst {...}`. JPEG holds at most 64 kB of it.
        alpha: How opaque each pixel is, uint8 of shape (H, W) of any size, which is resized to that of the picture;
            None for an opaque picture. Not for JPEG.
    """
    assert array.dtype == np.uint8, array.dtype
    assert array.ndim == 3, array.shape
    assert array.shape[2] == 3, array.shape
    image, out = Image.fromarray(array), BytesIO()
    if alpha is not None:
        assert output.format != "jpeg", "JPEG holds no transparency"
        image.putalpha(Image.fromarray(resize_to(alpha, *image.size)))
    text = json.dumps(dict(provenance), sort_keys=True)  # ASCII, all that EXIF strings can hold
    if output.format == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt(_KEY, text, zip=len(text) > 1000)
        image.save(out, "PNG", pnginfo=info, compress_level=_PNG_LEVEL)
        return out.getvalue()
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = f"{_KEY} {text}"
    if output.format == "jpeg":
        sampling = "4:4:4" if output.quality >= 90 else "4:2:0"
        image.save(out, "JPEG", quality=output.quality, subsampling=sampling, optimize=True, exif=exif)
    else:
        image.save(out, "WEBP", quality=output.quality, method=4, exif=exif)
    return out.getvalue()


@contextmanager
def metadata_of(data: bytes) -> Iterator[Image.Image]:
    """Open a picture's file to look at its metadata; no pixel is decoded.

    Raises:
        InputError: `data` is no PNG, JPEG or WebP file, or its metadata cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                yield image
    except UnidentifiedImageError as error:  # its text names an object in memory
        raise InputError("not a picture that nst writes: neither PNG nor JPEG nor WebP") from error
    except (OSError, SyntaxError, ValueError, TypeError, Image.DecompressionBombError) as error:
        raise InputError(f"not a picture that nst writes: {error}") from error


def read_provenance(data: bytes) -> dict[str, str]:
    """Return the provenance that `encode` wrote into a picture's file; empty for a picture that nst did not write.

    Raises:
        InputError: `data` is no PNG, JPEG or WebP file.
    """
    with metadata_of(data) as image:
        text = image.info.get(_KEY)
        if text is None:
            text = str(image.getexif().get(ExifTags.Base.ImageDescription, "")).removeprefix(f"{_KEY} ")
    try:
        value = from_json(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else {}


def thumbnail(array: np.ndarray, size: int = 320) -> bytes:
    """Return a small version of the picture: a WebP file of about 10 kB, its long side at most `size` pixels."""
    height, width = array.shape[:2]
    small = resize(array, size) if max(width, height) > size else array
    out = BytesIO()
    Image.fromarray(small).save(out, "WEBP", quality=80, method=2)
    return out.getvalue()
