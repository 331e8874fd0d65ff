"""Decodes picture files of any kind to HWC uint8 sRGB, or raises one `InputError` that says why it cannot.

Unusual files are treated as follows. Of several frames the first one counts. EXIF (or XMP) orientation is applied. An
embedded ICC profile is converted to sRGB with perceptual intent; an unusable profile is ignored. CMYK without a profile
is converted naively. Alpha and colour-key transparency are laid over white. 16-bit RGB keeps its high bytes. Greyscale
of 12, 16 or 32 bits is scaled by its range (`_to_8_bit`), never clipped. The gAMA chunk of a PNG is ignored, as most
viewers ignore it.

Byte and pixel limits are checked before pixels are unpacked, and only the formats in `FORMATS` are tried. Pillow's
decoders are native code: bytes that crash a decoder crash the process. Untrusted inputs are therefore decoded in a
device worker, where a crash costs one cell and not the sweep; planning reads only headers (`measure`), and decodes
masks of a moderate size.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageOps,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from nst.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = {
    "PNG": PngImagePlugin,
    "JPEG": JpegImagePlugin,  # also MPO, which phones write
    "WEBP": WebPImagePlugin,
    "TIFF": TiffImagePlugin,
    "BMP": BmpImagePlugin,
    "GIF": GifImagePlugin,
    "PPM": PpmImagePlugin,
    "JPEG2000": Jpeg2KImagePlugin,
    "AVIF": AvifImagePlugin,
}
"""The formats that are tried, by Pillow's names, with the modules that register them."""

_TRIED = tuple(name for name in FORMATS if name in Image.OPEN)
"""The formats of `FORMATS` that this build of Pillow supports."""

_MEASURED = tuple(name for name in _TRIED if name not in {"WEBP", "AVIF"})
"""The formats whose headers Pillow parses in Python; those of the others are parsed by native code."""

MAX_PIXELS = 100_000_000
"""Largest number of pixels, width x height, that is decoded by default."""

MAX_BYTES = 256 * 2**20
"""Largest size of a file in bytes that is decoded by default."""

_FAILURES = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, Warning, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
"""Errors that Pillow's decoders raise on broken files, collected from fuzzed corpora: far more than OSError."""

_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"RIFF": "WebP",
    b"ftypheic": "HEIC",
    b"ftypmif1": "HEIF",
    b"8BPS": "Photoshop",
    b"%PDF": "PDF",
    b"<svg": "SVG",
    b"<?xml": "XML",
    b"\0\0\1\0": "icon",
    b"DDS ": "DDS",
    b"v/1\1": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
}
"""First bytes of files of known kinds, for error messages only."""

_INK = {"L", "RGB", "CMYK", "LAB"}
"""Modes whose pixels an ICC profile can describe."""


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Return the picture in a file as an HWC uint8 RGB array in sRGB, upright and opaque; else as `decode_layers`."""
    return decode_layers(data, max_pixels=max_pixels, max_bytes=max_bytes)[0]


def decode_layers(
    data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the picture in a file as `decode` does, and its alpha, uint8 of shape (H, W); None if it is opaque.

    Args:
        data: Bytes of the whole file.
        max_pixels: Largest width x height that is decoded; a file of a few bytes may claim billions of pixels.
        max_bytes: Largest size of the file in bytes.

    Raises:
        InputError: The file is empty, too large, of no known format, truncated or corrupt. No other error is raised.
    """
    if not data:
        raise InputError("the file is empty")
    if len(data) > max_bytes:
        raise InputError(f"the file has {len(data):,} bytes, more than the {max_bytes:,} that are accepted")
    with _telling(data[:16]), Image.open(BytesIO(data), formats=_TRIED) as image:
        _check_size(image, max_pixels)
        image.load()
        picture = _to_srgb(_upright(image))
        return np.array(_flatten(picture), dtype=np.uint8), _alpha(picture)


def measure(file: BinaryIO) -> tuple[int, int] | None:
    """Return (width, height) in pixels, upright, of the picture in a file, of which only the header is read.

    Args:
        file: The file, at its beginning.

    Returns:
        None where only native code parses the header (WebP, AVIF).

    Raises:
        InputError: As `decode`, as far as a header tells; a file that is cut off behind the header is not noticed.
    """
    start = file.read(16)
    if not start:
        raise InputError("the file is empty")
    if (start[:4], start[8:12]) == (b"RIFF", b"WEBP") or start[4:8] == b"ftyp":
        return None
    file.seek(0)
    with _telling(start), Image.open(file, formats=_MEASURED) as image:
        _check_size(image, MAX_PIXELS)
        return image.size[::-1] if _lies(image) else image.size


def _lies(image: Image.Image) -> bool:
    """Return whether width and height change places when the picture is turned upright."""
    # To look behind the pixels of a PNG would decode them, and Pillow turns the size of a TIFF by itself.
    if image.format == "TIFF" or (image.format == "PNG" and "exif" not in image.info):
        return False
    try:
        return image.getexif().get(ExifTags.Base.Orientation) in {5, 6, 7, 8}
    except MemoryError:
        raise
    except _FAILURES:
        return False


@contextmanager
def _telling(start: bytes) -> Iterator[None]:
    """Turn every error of Pillow into an `InputError`; `start` holds the first bytes of the file, 16 or all."""
    try:
        # Pillow's warnings are about broken metadata, which does not matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except UnidentifiedImageError:
        kind = next((name for sign, name in _SIGNATURES.items() if start.startswith(sign, _offset(sign))), "")
        found = f"a broken or unsupported {kind} file" if kind else "not a picture in a known format"
        raise InputError(
            f"{found}; it starts with {start[:8]!r}",
            hint="known: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, AVIF",
        ) from None
    except _FAILURES as error:
        reason = str(error).strip() or type(error).__name__
        raise InputError(f"the picture cannot be decoded: {reason}", hint="truncated or corrupt?") from error


def _offset(signature: bytes) -> int:
    return 4 if signature.startswith(b"ftyp") else 0


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"the picture is {width} x {height} pixels, so it has no pixel")
    if width * height > max_pixels:
        raise InputError(
            f"the picture is {width} x {height} = {width * height:,} pixels, more than the {max_pixels:,} accepted",
            hint="scale it down first",
        )


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except MemoryError:
        raise
    except _FAILURES:  # a broken EXIF block says nothing about the pixels
        return image


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return the image as RGB or RGBA with its embedded profile applied."""
    profile = image.info.get("icc_profile")
    image = _to_8_bit(image)
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:  # of a 16-bit PNG, now 8-bit
        image.info["transparency"] = tuple(v >> 8 for v in key)
    alpha = None
    if image.mode in {"LA", "PA", "La", "RGBA", "RGBa", "RGBX"} or image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode not in _INK:
        image = image.convert("RGB")
    image = _apply_profile(image, profile) if profile or image.mode == "LAB" else image.convert("RGB")
    if alpha is not None:
        image.putalpha(alpha)
    return image


def _apply_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile) if profile else ImageCms.createProfile("LAB"))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except MemoryError:
        raise
    except _FAILURES:
        converted = None
    return image.convert("RGB") if converted is None else converted


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Return greyscale of more than 8 bits scaled to 8 bits; images of other modes are returned unchanged.

    The range of 16-bit samples is 0..65535, that of 12-bit samples 0..4095. A 32-bit integer file does not say which
    value is white: its range is the smallest of 8, 16 and 32 bits that holds its largest value, or reaches from its
    smallest to its largest value where values are negative. The range of float samples is 0..1 if they lie within it,
    else it reaches from their smallest to their largest value.
    """
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return image
    exact = np.float64 if image.mode == "I" else np.float32  # holds every value of the mode
    samples: np.ndarray = np.asarray(image).astype(exact)
    if not np.isfinite(samples).all():
        raise InputError("the picture holds values that are not finite")
    low, high = float(samples.min()), float(samples.max())
    if image.mode == "F":
        low, high = (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)
    elif image.mode.startswith("I;16"):
        bits = image.tag_v2.get(258, (16,))[0] if image.format == "TIFF" and hasattr(image, "tag_v2") else 16
        low, high = 0.0, 4095.0 if bits == 12 else 65535.0
    elif low >= 0:
        low, high = 0.0, next(white for white in (255.0, 65535.0, 2.0**32 - 1) if high <= white)
    key = image.info.get("transparency")
    scale = 255.0 / (high - low) if high > low else 0.0
    grey = Image.fromarray(np.rint((samples - low) * scale).astype(np.uint8))
    if isinstance(key, int):
        grey.putalpha(Image.fromarray(np.where(samples == key, 0, 255).astype(np.uint8)))
    return grey


def _alpha(image: Image.Image) -> np.ndarray | None:
    """Return the alpha of the image, or None if no pixel is transparent."""
    if image.mode != "RGBA":
        return None
    alpha_HW = np.array(image.getchannel("A"), dtype=np.uint8)
    return None if alpha_HW.min() == 255 else alpha_HW


def _flatten(image: Image.Image) -> Image.Image:
    """Return the image with its alpha laid over white, as a page or a print would show it."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image).convert("RGB")
