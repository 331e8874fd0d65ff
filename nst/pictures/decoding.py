"""Any picture file becomes HWC uint8 sRGB, or one `InputError` that says why not.

What happens to the oddities: the first frame counts; EXIF (or XMP) orientation is applied; an embedded ICC profile is
converted to sRGB (perceptual intent), an unusable one is ignored; CMYK without a profile is converted naively; alpha
and colour-key transparency are laid over white; 16-bit RGB keeps its high bytes; greyscale of 12, 16 or 32 bits is
scaled by its range (`_to_8_bit`), never clipped. A PNG's gAMA chunk is ignored, as most viewers do.

Byte and pixel limits are checked before pixels are unpacked, and only the formats in `FORMATS` are tried. Pillow's
decoders are native code: bytes that crash one crash the process, which is why untrusted inputs are decoded in a
device worker, where that costs one cell and not the sweep.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
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
"""The formats that are tried, by Pillow's name, with the module that registers each."""

_TRIED = tuple(name for name in FORMATS if name in Image.OPEN)
"""Pillow can be built without some of them."""

MAX_PIXELS = 100_000_000
MAX_BYTES = 256 * 2**20

_FAILURES = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, Warning, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
"""What Pillow's decoders raise on broken files, collected from fuzzed corpora: far more than OSError."""

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
"""How files begin, for the message only."""

_INK = {"L", "RGB", "CMYK", "LAB"}
"""Modes whose pixels an ICC profile can describe."""


def decode(data: bytes, *, max_pixels: int = MAX_PIXELS, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The picture in `data` as an HWC uint8 RGB array in sRGB, upright, opaque.

    Args:
        data: The whole file.
        max_pixels: Width x height that is still decoded (a file of a few bytes may claim billions).
        max_bytes: Size of file that is still looked at.

    Raises:
        InputError: Empty, too large, of no known format, truncated or corrupt. Nothing else.
    """
    if not data:
        raise InputError("the file is empty")
    if len(data) > max_bytes:
        raise InputError(f"the file has {len(data):,} bytes, more than the {max_bytes:,} that are accepted")
    try:
        # Warnings of Pillow are about broken metadata, which does not matter here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(BytesIO(data), formats=_TRIED) as image:
                _check_size(image, max_pixels)
                image.load()
                picture = _flatten(_to_srgb(_upright(image)))
                return np.array(picture, dtype=np.uint8)
    except InputError:
        raise
    except UnidentifiedImageError:
        kind = next((name for start, name in _SIGNATURES.items() if data[:16].startswith(start, _offset(start))), "")
        what = f"a broken or unsupported {kind} file" if kind else "not a picture in a known format"
        raise InputError(
            f"{what}; it starts with {data[:8]!r}", hint="known: PNG, JPEG, WebP, TIFF, BMP, GIF, PPM, JPEG 2000, AVIF"
        ) from None
    except _FAILURES as error:
        reason = str(error).strip() or type(error).__name__
        raise InputError(f"the picture cannot be decoded: {reason}", hint="truncated or corrupt?") from error


def _offset(signature: bytes) -> int:
    return 4 if signature.startswith(b"ftyp") else 0


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError(f"the picture is {width} x {height} pixels: it has none")
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
    """RGB or RGBA with the embedded profile applied."""
    profile = image.info.get("icc_profile")
    image = _to_8_bit(image)
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple) and max(key) > 255:  # of a 16-bit PNG, whose pixels are 8-bit now
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
    """Greyscale of more than 8 bits scaled to 8; every other mode as it is.

    16-bit samples span 0..65535, 12-bit samples 0..4095. A 32-bit integer file does not say what its white is: it spans
    the smallest of 8, 16 and 32 bits that holds its largest value, or its own extremes where values are negative.
    Float samples within 0..1 span that, others their own extremes.
    """
    if image.mode not in {"I", "F"} and not image.mode.startswith("I;16"):
        return image
    samples: np.ndarray = np.asarray(image).astype(
        np.float64 if image.mode == "I" else np.float32
    )  # both hold every value
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


def _flatten(image: Image.Image) -> Image.Image:
    """Alpha laid over white: what a page or a print would show."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image).convert("RGB")
