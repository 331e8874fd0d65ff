"""What clips hold and what their frames are: counts, times, rotation, colour, transparency, stills."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from itertools import product

import av
import clip_files
import numpy as np
import pytest
from PIL import Image

from nst.errors import InputError
from tasks.clips.probe import probe
from tasks.clips.reading import frames


def all_frames(data, info=None):
    return [picture for _, picture in frames(data, range(probe(data, "clip").frames), info)]


# ---- what a clip holds --------------------------------------------------------------------------------------------
def test_what_is_known_of_big_buck_bunny(shared_data):
    info = probe(clip_files.bunny(shared_data), "bunny")
    assert (info.frames, info.width, info.height, info.audio) == (240, 640, 360, 1)
    assert info.seconds == tuple(Fraction(number, 24) for number in range(240))
    assert info.rate == 24
    assert "mp4" in info.container


def test_frames_of_big_buck_bunny_are_those_of_the_still_files_beside_it(shared_data):
    """The stills are JPEGs of the same film: the frame with the number of the file comes nearest to it by far."""
    data = clip_files.bunny(shared_data)
    still = np.asarray(Image.open(shared_data / "video" / "bunny_seq" / "0098.jpg").convert("RGB").resize((64, 36)))
    small = {
        number: np.asarray(Image.fromarray(picture).resize((64, 36))).astype(float)
        for number, picture in frames(data, range(85, 112))
    }
    distances = {number: float(np.abs(picture - still).mean()) for number, picture in small.items()}
    assert min(distances, key=distances.get) in {97, 98}  # files are numbered from 0 or 1
    assert min(distances.values()) < 4


CONTAINERS = [
    *(("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("mpegts", "libx264")),
    *(("flv", "libx264"), ("avi", "mpeg4"), ("avi", "libx264"), ("mp4", "libsvtav1"), ("nut", "ffv1")),
]


@pytest.mark.parametrize(("kind", "codec"), CONTAINERS)
def test_every_container_gives_its_frames_in_the_order_in_which_they_are_shown(kind, codec, monkeypatch):
    monkeypatch.setenv("SVT_LOG", "0")
    size = (64, 64) if codec == "libsvtav1" else (48, 64)
    pixels = "bgr0" if codec == "ffv1" else "yuv420p"
    options = {"libx264": {"bf": "3"}, "mpeg4": {"b": "4000000"}}.get(codec)
    data = clip_files.clip(kind, codec, size=size, pixels=pixels, options=options)
    info = probe(data, "clip")
    assert (info.frames, info.width, info.height) == (30, size[1], size[0])
    assert [clip_files.number_of(picture) for picture in all_frames(data)] == list(range(30))
    steps = np.diff([float(second) for second in info.seconds])
    np.testing.assert_allclose(steps, 1 / 24, atol=0.00101)  # Matroska and FLV count in milliseconds


def test_times_of_a_variable_rate_and_a_late_start_are_those_of_the_file():
    times = [700, 711, 712, 740, 741, 797, 798, 799, 1000, 1500]
    data = clip_files.clip(times=times, time_base=Fraction(1, 1200), options={"bf": "2"})
    info = probe(data, "clip")
    assert [float(time) for time in info.seconds] == pytest.approx([time / 1200 for time in times], abs=0.001)
    assert list(info.seconds) == clip_files.stated_times(data)
    assert np.diff([float(time * 1200) for time in info.seconds]) == pytest.approx(np.diff(times), abs=1e-9)
    assert info.rate == Fraction(9 * 1200, 800)


def test_a_container_that_states_no_times_is_counted_at_its_rate():
    info = probe(clip_files.clip("avi", "libx264", options={"bf": "3"}), "clip")
    assert not info.own_times
    assert info.seconds == tuple(Fraction(number, 24) for number in range(30))


def test_a_name_says_nothing_of_a_clip():
    assert probe(clip_files.clip("matroska"), "holiday.jpg").container == "matroska,webm"


def test_two_audio_tracks_are_counted():
    assert probe(clip_files.clip(sound=2), "clip").audio == 2


# ---- which frames are read ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("open_gop", ["0", "1"])
@pytest.mark.parametrize("kind", ["mp4", "matroska", "mpegts"])
def test_a_jump_gives_the_bits_that_reading_from_the_start_gives(kind, open_gop):
    params = f"keyint=8:min-keyint=4:open-gop={open_gop}:scenecut=0:bframes=3"
    data = clip_files.clip(kind, options={"x264-params": params, "crf": "30"})
    info, whole = probe(data, "clip"), dict(frames(data, range(30)))
    for first, step in product((1, 7, 8, 9, 15, 16, 17, 29), (1, 3)):
        part = dict(frames(data, range(first, 30, step), info))
        assert list(part) == list(range(first, 30, step))
        assert all(np.array_equal(picture, whole[number]) for number, picture in part.items()), (first, step)


def test_a_jump_in_a_clip_that_refreshes_little_by_little_gives_the_same_bits():
    data = clip_files.clip("matroska", options={"x264-params": "keyint=8:intra-refresh=1:bframes=0", "crf": "40"})
    info, whole = probe(data, "clip"), dict(frames(data, range(30)))
    for first in (9, 20, 29):
        assert np.array_equal(dict(frames(data, [first], info))[first], whole[first])


def test_frames_that_a_clip_does_not_have_are_told():
    data = clip_files.clip()
    with pytest.raises(InputError, match="frame 30 is asked for, and the clip has 30 frames"):
        list(frames(data, [2, 30, 31]))
    with pytest.raises(InputError, match="frame 40 is asked for, and the clip has 30 frames"):
        list(frames(data, [40], probe(data, "clip")))
    assert list(frames(data, [])) == []


def test_frames_that_an_edit_list_leaves_out_are_no_frames_of_the_clip():
    """ISO/IEC 14496-12, 8.6.6: a clip that a telephone has trimmed keeps its first frames, and begins behind them."""
    data = bytearray(clip_files.clip(options={"bf": "2"}))
    start = data.index(b"elst") + 12  # behind the name, the version and the number of entries
    length, begin = (int.from_bytes(data[start + at : start + at + 4], "big") for at in (0, 4))
    data[start : start + 8] = struct.pack(">II", length - 1000 * 5 // 24, begin + 512 * 5)
    data = bytes(data)
    info = probe(data, "clip")
    assert info.seconds == tuple(Fraction(number, 24) for number in range(25))
    assert [clip_files.number_of(picture) for picture in all_frames(data)] == list(range(5, 30))
    assert [clip_files.number_of(picture) for _, picture in frames(data, [7, 9], info)] == [12, 14]


# ---- how they are shown -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("signs", [*product((1, -1), repeat=2)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_display_matrix_moves_every_pixel_where_the_standard_says(turned, signs):
    """ISO/IEC 14496-12, 6.2.2: the point (x, y) is shown at (a x + c y, b x + d y)."""
    one = 1 << 16
    a, b, c, d = (0, signs[0], signs[1], 0) if turned else (signs[0], 0, 0, signs[1])
    matrix = [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30]
    data = clip_files.clip(matrix=matrix, times=[0, 1])
    stored = all_frames(clip_files.clip(times=[0, 1]))[1]
    y, x = np.mgrid[: stored.shape[0], : stored.shape[1]]
    to_x, to_y = a * x + c * y, b * x + d * y
    expected = np.zeros(((64, 48) if turned else (48, 64)) + (3,), np.uint8)
    expected[to_y - to_y.min(), to_x - to_x.min()] = stored
    info, shown = probe(data, "clip"), all_frames(data)[1]
    assert (info.height, info.width) == expected.shape[:2]
    assert np.array_equal(shown, expected)


CODES = np.array([[40, 90, 140], [180, 210, 235]], np.float64)
CHROMA_B, CHROMA_R = np.array([[90, 128, 150], [128, 110, 120]]), np.array([[140, 128, 120], [128, 150, 100]])


def rgb_of(y, cb, cr, red, blue, *, full):
    """ITU-R BT.601-7 and BT.709-6: RGB of 8-bit codes, with the luma weights of red and blue."""
    y = y / 255 if full else (y - 16) / 219
    cb, cr = ((plane - 128) / (255 if full else 224) for plane in (cb, cr))
    r, b = y + 2 * (1 - red) * cr, y + 2 * (1 - blue) * cb
    g = (y - red * r - blue * b) / (1 - red - blue)
    return np.clip(np.stack([r, g, b], -1) * 255, 0, 255)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("colorspace", [1, 2, 6, 9])
@pytest.mark.parametrize(("pixels", "scale"), [("yuv444p", 1), ("yuv444p10le", 4), ("yuv420p", 1)])
def test_colours_are_those_of_the_standards(pixels, scale, colorspace, full):
    """The numbers of matrices are those of ITU-T H.273; 2 states none."""
    red, blue = {1: (0.2126, 0.0722), 9: (0.2627, 0.0593)}.get(colorspace, (0.299, 0.114))
    planes = [np.kron(plane, np.ones((16, 16))) for plane in (CODES, CHROMA_B, CHROMA_R)]
    expected = rgb_of(*planes, red, blue, full=full)
    if "420" in pixels:
        planes[1:] = [plane[::2, ::2] for plane in planes[1:]]
    kind = np.uint8 if scale == 1 else np.uint16
    data = clip_files.yuv_clip([(plane * scale).astype(kind) for plane in planes], pixels, colorspace, 2 if full else 1)
    (shown,) = all_frames(data)
    inner = (slice(4, 12), slice(20, 28)), (slice(20, 28), slice(36, 44)), (slice(4, 12), slice(4, 12))
    for part in inner:  # away from edges, over which chroma of half the resolution is interpolated
        assert np.abs(shown[part] - expected[part]).max() <= 1.6


def test_large_frames_that_state_no_matrix_are_of_bt_709():
    planes = [np.full((720, 16), value, np.uint8) for value in (140, 90, 170)]
    (shown,) = all_frames(clip_files.yuv_clip(planes, "yuv444p", 2, 1))
    expected = rgb_of(140.0, 90.0, 170.0, 0.2126, 0.0722, full=False)
    assert np.abs(shown[300, 8] - expected).max() <= 1.6


def test_pixels_that_are_not_square_are_made_square():
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(3, 2)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(clip_files.picture(), "rgb24")))
        container.mux(stream.encode(None))
    info, (shown,) = probe(out.getvalue(), "clip"), all_frames(out.getvalue())
    assert (info.width, info.height) == (96, 48)
    assert shown.shape == (48, 96, 3)


# ---- GIF, WebP, PNG, stills ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_frames_and_durations(kind):
    pictures = [Image.fromarray(clip_files.picture(number)) for number in range(5)]
    out = io.BytesIO()
    durations = [40, 100, 20, 300, 50]
    pictures[0].save(out, kind, save_all=True, append_images=pictures[1:], duration=durations, lossless=True)
    info = probe(out.getvalue(), "clip")
    assert info.seconds == tuple(Fraction(sum(durations[:number]), 1000) for number in range(5))
    assert (info.width, info.height, info.audio, info.container) == (64, 48, 0, kind.lower())
    for number, picture in frames(out.getvalue(), [1, 3]):
        assert np.abs(picture.astype(int) - clip_files.picture(number)).max() <= 8  # palettes of a GIF


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_transparency_is_laid_over_white_as_that_of_stills_is(kind):
    clear = np.zeros((32, 32, 4), np.uint8)
    clear[:, 16:] = (200, 0, 0, 255)
    images = [Image.fromarray(clear), Image.fromarray(np.roll(clear, 3, axis=1))]
    out = io.BytesIO()
    images[0].save(out, kind, save_all=True, append_images=images[1:], duration=100, disposal=2, lossless=True)
    first, second = all_frames(out.getvalue())
    assert (first[:, :16] == 255).all()
    assert np.abs(first[:, 16:] - np.array([200, 0, 0])).max() <= 2
    assert (second[:, 3:19] == 255).all()


def test_a_duration_of_nothing_is_a_tenth_of_a_second_as_in_browsers():
    images = [Image.new("RGB", (4, 4), color) for color in ("red", "lime", "blue")]
    out = io.BytesIO()
    images[0].save(out, "GIF", save_all=True, append_images=images[1:], duration=0)
    assert probe(out.getvalue(), "clip").seconds == (0, Fraction(1, 10), Fraction(1, 5))
