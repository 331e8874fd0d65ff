"""Decoding, resizing and encoding, against facts that do not come from Pillow."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from nst.errors import InputError
from nst.pictures.images import (
    EXTENSIONS,
    MAX_PIXELS,
    Pixels,
    decode,
    encode,
    read_provenance,
    resize,
    resize_to,
    style_size,
    target_size,
    thumbnail,
)
from nst.records import OutputFormat


def png(samples, color_type, *, bits=8, chunks=b""):
    """A PNG written by hand: HWC integers, no filter."""
    dtype = ">u2" if bits == 16 else "u1"
    rows = b"".join(b"\0" + row.astype(dtype).tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], bits, color_type, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunks, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def saved(image, kind="PNG", **options):
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def noise(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(("height", "width"), [(40, 60), (60, 40), (50, 50)])
@pytest.mark.parametrize("scale", [1.0, 0.5, 2.0])
def test_the_long_side_of_a_style_gets_the_length_that_is_asked_for(height, width, scale):
    found = style_size(Pixels("x", np.zeros((height, width, 3), np.uint8), scale=scale), 120)
    assert max(found) == 120 * scale
    assert found[0] * height == found[1] * width  # the proportions, which these lengths keep exactly


@pytest.mark.parametrize("color_type", [0, 2])
def test_16_bit_png_spans_the_whole_range(color_type):
    channels = 1 if color_type == 0 else 3
    ramp = np.linspace(0, 65535, 256 * 16).round().reshape(16, 256, 1).repeat(channels, 2)
    found = decode(png(ramp, color_type, bits=16))
    assert np.abs(found - ramp / 257.0).max() < 1.0
    assert found.min() == 0
    assert found.max() == 255


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([[0, 2**31 - 1]], np.int32), [0, 127]),  # half of 32 bits
        (np.array([[0, 65535]], np.int32), [0, 255]),
        (np.array([[0, 100]], np.int32), [0, 100]),
        (np.array([[-1, 0, 4]], np.int32), [0, 51, 255]),
        (np.array([[0.0, 0.25, 1.0]], np.float32), [0, 64, 255]),
        (np.array([[-1.0, 0.0, 3.0]], np.float32), [0, 64, 255]),
        (np.array([[0, 32768, 65535]], np.uint16), [0, 128, 255]),
        (np.array([[7.0, 7.0]], np.float32), [0, 0]),
    ],
)
def test_deep_greyscale_tiff_is_scaled_not_clipped(samples, expected):
    assert decode(saved(Image.fromarray(samples), "TIFF"))[0, :, 0].tolist() == expected


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="not finite"):
        decode(saved(Image.fromarray(np.array([[0, np.nan]], np.float32)), "TIFF"))


def test_alpha_is_laid_over_white():
    rgba = np.array([[[200, 0, 100, 255], [200, 0, 100, 0], [200, 0, 100, 51]]], np.uint8)
    for data in (png(rgba, 6), saved(Image.fromarray(rgba), "WEBP", lossless=True, exact=True)):
        assert decode(data)[0].tolist() == [[200, 0, 100], [255, 255, 255], [244, 204, 224]]
    grey_alpha = np.array([[[0, 255], [0, 0], [0, 51]]], np.uint8)
    assert decode(png(grey_alpha, 4))[0, :, 0].tolist() == [0, 255, 204]


def test_transparent_colours_become_white():
    rgb = np.array([[[1, 2, 3], [9, 9, 9]]])
    assert decode(png(rgb, 2, chunks=chunk(b"tRNS", struct.pack(">3H", 1, 2, 3))))[0].tolist() == [[255] * 3, [9] * 3]
    deep = np.array([[[0x1234, 0x5678, 0x9ABC], [0, 0, 0]]])
    key = chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC))
    assert decode(png(deep, 2, bits=16, chunks=key))[0].tolist() == [[255] * 3, [0] * 3]
    grey = np.array([[[300], [40000]]])
    assert decode(png(grey, 0, bits=16, chunks=chunk(b"tRNS", struct.pack(">H", 300))))[0, :, 0].tolist() == [255, 156]


def test_palette_and_one_bit_pictures():
    palette = chunk(b"PLTE", bytes([10, 20, 30, 200, 100, 50])) + chunk(b"tRNS", bytes([255, 0]))
    assert decode(png(np.array([[[0], [1]]]), 3, chunks=palette))[0].tolist() == [[10, 20, 30], [255, 255, 255]]
    bits = Image.fromarray(np.array([[True, False]]))
    assert bits.mode == "1"
    assert decode(saved(bits))[0, :, 0].tolist() == [255, 0]


def test_cmyk_in_both_polarities_looks_the_same():
    inks = np.zeros((16, 16, 4), np.uint8)
    inks[:, 8:, 0] = 255  # cyan
    plain = saved(Image.fromarray(inks, "CMYK"), "TIFF")
    adobe = saved(Image.fromarray(inks, "CMYK"), "JPEG", quality=100)
    assert b"Adobe" in adobe[:100]
    for data in (plain, adobe):
        found = decode(data).astype(int)
        assert np.abs(found[:, :6] - 255).max() < 4
        assert np.abs(found[:, 10:] - [0, 255, 255]).max() < 4


def linear_profile(space=b"RGB ", *, swap=False):
    """A minimal ICC v2 profile of sRGB's primaries (red and green exchanged) or grey, with a linear curve."""
    curve = b"curv\0\0\0\0\0\0\0\0"
    xyz = [(0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)]
    primaries = [xyz[1], xyz[0], xyz[2]] if swap else xyz
    tags = {
        b"wtpt": triple(0.9642, 1.0, 0.8249),
        b"desc": b"desc" + b"\0" * 4 + struct.pack(">I", 2) + b"x" + b"\0" * 79,
    }
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        tags |= dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), (triple(*p) for p in primaries), strict=True))
        tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    table, body = struct.pack(">I", len(tags)), b""
    for name, value in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(value))
        body += value + b"\0" * (-len(value) % 4)
    head = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), b"lcms", 0x02400000, b"mntr", space, b"XYZ ")
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


def triple(*values):
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def test_an_icc_profile_is_converted_to_srgb():
    grey = Image.new("RGB", (4, 4), (128, 128, 128))
    expected = 255 * (1.055 * (128 / 255) ** (1 / 2.4) - 0.055)  # the sRGB curve of IEC 61966-2-1: 188
    for image, profile in ((grey, linear_profile()), (grey.convert("L"), linear_profile(b"GRAY"))):
        found = decode(saved(image, icc_profile=profile))
        assert np.abs(found - expected).max() <= 1.5
    red = decode(saved(Image.new("RGBA", (4, 4), (255, 0, 0, 255)), icc_profile=linear_profile(swap=True)))
    assert np.abs(red[0, 0].astype(int) - [0, 255, 0]).max() <= 2


def test_an_unusable_profile_is_ignored():
    data = saved(Image.new("RGB", (4, 4), (1, 2, 3)), icc_profile=b"no profile at all")
    assert decode(data)[0, 0].tolist() == [1, 2, 3]
    assert decode(saved(Image.new("RGB", (4, 4), (1, 2, 3)), icc_profile=linear_profile(b"GRAY"))).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_exif_orientation_6_turns_clockwise(kind):
    picture = np.zeros((16, 32, 3), np.uint8)
    picture[:, :16] = 255  # white at the left; turned clockwise it is at the top
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode(saved(Image.fromarray(picture), kind, exif=exif))
    assert found.shape == (32, 16, 3)
    assert found[:14].min() > 240
    assert found[18:].max() < 15


def test_the_first_frame_counts():
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "lime", "blue")]
    for kind in ("GIF", "TIFF", "WEBP", "PNG"):
        data = saved(
            frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
        )
        assert decode(data)[0, 0].tolist() == [255, 0, 0], kind


def test_a_bomb_is_refused_before_its_pixels_exist():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(InputError, match="pixels"):
        decode(bomb)
    small = saved(Image.new("1", (200, 100)))
    with pytest.raises(InputError, match=r"200 x 100 = 20,000 pixels"):
        decode(small, max_pixels=19_999)
    assert decode(small, max_pixels=20_000).shape == (100, 200, 3)
    with pytest.raises(InputError, match="bytes"):
        decode(small, max_bytes=len(small) - 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "broken or unsupported PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "unsupported HEIC"),
        (b"%PDF-1.4", "unsupported PDF"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(data, message):
    with pytest.raises(InputError, match=message):
        decode(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "JPEG2000"])
def test_truncated_and_flipped_files_raise_input_error_only(kind):
    data = saved(Image.fromarray(noise(24, 24)), kind)
    rng = np.random.default_rng(1)
    for trial in range(60):
        broken = bytearray(data[: int(rng.integers(1, len(data)))] if trial % 2 else data)
        for _ in range(int(rng.integers(0, 6))):
            broken[int(rng.integers(len(broken)))] = int(rng.integers(256))
        try:
            found = decode(bytes(broken), max_pixels=10_000)
        except InputError:
            continue
        assert found.dtype == np.uint8
        assert found.shape[2] == 3


def test_target_size_keeps_proportions_to_within_rounding():
    assert target_size(800, 600, 400) == (400, 300)
    assert target_size(600, 800, 300, "short") == (300, 400)
    assert target_size(10_000, 1, 512) == (512, 1)
    assert target_size(333, 333, 100, "short") == (100, 100)
    for width in range(1, 200, 7):
        w, h = target_size(width, 113, 97)
        assert max(w, h) == 97
        assert abs(w * 113 / width - h) <= 0.5 * max(1, 113 / width) + 1e-9 or min(w, h) == 1
    with pytest.raises(InputError, match="short side"):
        target_size(MAX_PIXELS, 1, 512, "short")


def test_resize_is_antialiased():
    checkers = np.indices((256, 256)).sum(0) % 2 * 255
    small = resize(np.repeat(checkers[..., None], 3, 2).astype(np.uint8), 64)
    assert small.shape == (64, 64, 3)
    assert np.abs(small[4:-4, 4:-4].astype(int) - 128).max() <= 2
    same = noise()
    assert np.array_equal(resize(same, 60), same)
    assert resize_to(same, 7, 9).shape == (9, 7, 3)


def test_png_is_lossless_and_everything_round_trips_its_provenance():
    picture = noise()
    provenance = {"cell_id": "ab" * 32, "manifest": 'Nächte 夜 "</script>', "parameters": "{}" * 2000}
    for kind, extension in EXTENSIONS.items():
        data = encode(picture, OutputFormat(kind), provenance)
        assert read_provenance(data) == provenance
        assert decode(data).shape == picture.shape
        assert encode(picture, OutputFormat(kind), provenance) == data
        assert extension.startswith(".")
    assert np.array_equal(decode(encode(picture, OutputFormat("png"), provenance)), picture)


def test_quality_orders_size_and_error():
    picture = resize_to(noise(8, 8), 64, 64)
    for kind in ("jpeg", "webp"):
        low, high = (encode(picture, OutputFormat(kind, quality), {}) for quality in (30, 98))
        assert len(low) < len(high)
        errors = [np.abs(decode(data).astype(int) - picture).mean() for data in (low, high)]
        assert errors[1] < errors[0]
        assert errors[1] < 3


def test_the_provenance_of_foreign_pictures_is_empty():
    exif = Image.Exif()
    exif[0x010E] = "a holiday"
    for data in (saved(Image.new("L", (2, 2))), saved(Image.new("L", (2, 2)), "JPEG", exif=exif)):
        assert read_provenance(data) == {}
    with pytest.raises(InputError):
        read_provenance(b"nothing")


def test_thumbnails_are_small_and_never_enlarge():
    data = thumbnail(resize_to(noise(8, 8), 800, 400))
    assert decode(data).shape == (160, 320, 3)
    assert len(data) < 20_000
    assert decode(thumbnail(noise(40, 60))).shape == (40, 60, 3)
