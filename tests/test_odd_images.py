"""Every odd, corrupt and hostile file of the shared data decodes or is refused with a reason; known ones by value."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from nst.errors import InputError
from nst.pictures.images import decode


@pytest.fixture
def odd(shared_data):
    return shared_data / "odd"


def load(path):
    return decode(path.read_bytes())


@pytest.mark.slow
def test_all_odd_files_decode_or_are_refused(odd):
    decoded = refused = 0
    for path in sorted(p for p in odd.rglob("*") if p.is_file()):
        try:
            found = load(path)
        except InputError as error:
            refused += len(error.message) > 10
        else:
            assert found.dtype == np.uint8, path
            assert found.ndim == 3, path
            assert found.shape[2] == 3, path
            assert found.size > 0, path
            decoded += 1
    assert decoded + refused >= 620
    assert decoded >= 440


def test_valid_pngsuite_decodes_and_its_corrupt_files_are_refused(odd):
    for path in sorted((odd / "pngsuite").glob("*.png")):
        if path.name == "xcsn0g01.png":  # only the checksum of its pixels is wrong, which Pillow does not look at
            assert load(path).shape == (32, 32, 3)
        elif path.name.startswith("x"):  # PngSuite: these are corrupt
            with pytest.raises(InputError):
                load(path)
        else:
            width, height = {"cdf": (8, 32), "cdh": (32, 8), "cds": (8, 8)}.get(path.name[:3], (32, 32))
            if path.name[0] == "s":  # s01 ... s40: odd sizes
                width = height = int(path.name[1:3])
            assert load(path).shape[1::-1] == (width, height), path.name


def samples_of(data):
    """The samples of a plain (not interlaced) PNG, decoded by hand as RFC 2083 has it."""
    position, packed = 8, b""
    while position < len(data):
        length, name = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        body = data[position + 8 : position + 8 + length]
        if name == b"IHDR":
            width, height, bits, color_type = int.from_bytes(body[:4]), int.from_bytes(body[4:8]), body[8], body[9]
        elif name == b"IDAT":
            packed += body
        position += 12 + length
    step = bits // 8 * {0: 1, 2: 3, 4: 2, 6: 4}[color_type]
    raw, out, above = zlib.decompress(packed), [], bytes(width * step)
    for y in range(height):
        kind, line = raw[y * (width * step + 1)], bytearray(raw[y * (width * step + 1) + 1 :][: width * step])
        for x in range(len(line)):
            left, up = line[x - step] if x >= step else 0, above[x]
            corner = above[x - step] if x >= step else 0
            paeth = min((left, up, corner), key=lambda v, p=left + up - corner: abs(p - v))
            line[x] = (line[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
        out.append(above := bytes(line))
    return np.frombuffer(b"".join(out), ">u2" if bits == 16 else "u1").reshape(height, width, -1)


@pytest.mark.parametrize("name", ["basn0g16", "basn2c16", "oi4n0g16", "basn0g08", "basn2c08", "f04n2c08"])
def test_pngsuite_values_equal_a_decoder_written_by_hand(odd, name):
    data = (odd / "pngsuite" / f"{name}.png").read_bytes()
    samples = samples_of(data)
    exact = samples / (257.0 if samples.dtype.itemsize == 2 else 1.0)
    assert np.abs(decode(data) - exact).max() < 1.0


@pytest.mark.parametrize("name", ["basn4a16", "basn6a16", "basn6a08", "basn4a08"])
def test_pngsuite_alpha_over_white_equals_the_formula(odd, name):
    data = (odd / "pngsuite" / f"{name}.png").read_bytes()
    samples = samples_of(data) / (65535.0 if name.endswith("16") else 255.0)
    expected = 255 * (samples[..., :-1] * samples[..., -1:] + 1 - samples[..., -1:])
    assert np.abs(decode(data) - expected).max() < 2.1


def test_interlaced_equals_plain(odd):
    for plain in sorted((odd / "pngsuite").glob("basn*.png")):
        assert np.array_equal(load(plain), load(plain.with_name(plain.name.replace("basn", "basi")))), plain.name


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["exif_orientation/Landscape_*.jpg", "exif_orientation/Portrait_*.jpg"])
def test_every_orientation_shows_the_same_picture(odd, pattern):
    first, *others = (load(path).astype(int) for path in sorted(odd.glob(pattern)))
    assert others
    for other in others:
        assert other.shape == first.shape
        assert np.abs(other - first).mean() < 6  # each was compressed by itself


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_pillow_orientations_show_hopper(odd, extension):
    hopper = load(odd / "pillow" / "hopper.png").astype(int)
    for path in sorted((odd / "pillow").glob(f"hopper_orientation_*.{extension}")):
        assert np.abs(load(path).astype(int) - hopper).mean() < 8, path.name


def test_cmyk_jpeg_looks_like_its_rgb_twin(odd):
    cmyk, rgb = (load(odd / "pillow" / f"pil_sample_{kind}.jpg").astype(int) for kind in ("cmyk", "rgb"))
    assert np.abs(cmyk - rgb).mean() < 6


def test_bombs_and_fuzzed_crashers_are_refused(odd):
    pillow = odd / "pillow"
    refused = (
        "png_decompression_dos.png",
        "decompression_bomb.ico",
        "zero_width.gif",
        "truncated_jpeg.jpg",
        "broken.png",
    )
    for name in refused:
        with pytest.raises(InputError):
            load(pillow / name)
