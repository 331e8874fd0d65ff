"""Broken, odd and hostile clips: each ends in one line that says what was found, and none hangs or fills the memory."""

from __future__ import annotations

import io
import re
import struct
import sys
import tracemalloc
import zlib
from fractions import Fraction

import av
import clip_files
import numpy as np
import pytest
from PIL import Image

from nst.errors import InputError
from tasks.clips import containers, decoding
from tasks.clips.probe import probe
from tasks.clips.reading import frames


def problem_of(data):
    """The error of a clip, which is one line that names the clip."""
    with pytest.raises(InputError) as caught:
        probe(data, "holiday.mp4")
    message = str(caught.value)
    assert message.startswith("holiday.mp4: ")
    assert "\n" not in message
    return message


def check_line(error):
    assert "\n" not in str(error)


def image(kind, size=(8, 8), **options):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, kind, **options)
    return out.getvalue()


def box(kind, contents):
    return struct.pack(">I", 8 + len(contents)) + kind + contents


def patched(data, kind, offset, values):
    """An MP4 file with numbers of four bytes put into a box."""
    start = data.index(kind) + 4 + offset
    put = b"".join(struct.pack(">I", value) for value in values)
    return data[:start] + put + data[start + len(put) :]


def of_jpegs(*sizes):
    """A file whose frames are JPEGs of the given sizes, as cameras write them."""
    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as container:
        stream = container.add_stream("mjpeg", rate=24)
        stream.width, stream.height, stream.pix_fmt = *sizes[0], "yuvj420p"
        for number, size in enumerate(sizes):
            packet = av.Packet(image("JPEG", size))
            packet.pts = packet.dts = number
            packet.time_base, packet.stream, packet.is_keyframe = Fraction(1, 24), stream, True
            container.mux(packet)
    return out.getvalue()


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n/etc/hostname\n#EXT-X-ENDLIST\n"

HOSTILE = {
    "nothing": (lambda: b"", "the file is empty"),
    "one byte": (lambda: b"\0", "not a clip"),
    "text": (lambda: b"hello world " * 50, "not a clip"),
    "noise": (lambda: np.random.default_rng(1).bytes(5000), "not a clip"),
    "zeros": (lambda: bytes(100_000), "not a clip"),
    "a head alone": (lambda: clip_files.clip()[:32], "not a clip"),
    "a web page": (lambda: b"<!DOCTYPE html><html><body>404</body></html>", "not a clip"),
    "a playlist": (lambda: PLAYLIST, "not a clip"),
    "a list of files": (lambda: b"ffconcat version 1.0\nfile '/etc/hostname'\n", "not a clip"),
    "a session description": (lambda: b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n", "not a clip"),
    "an image": (lambda: image("JPEG"), "a still JPEG picture, not a clip"),
    "another image": (lambda: image("PNG"), "a still PNG picture, not a clip"),
    "a HEIF image": (lambda: box(b"ftyp", b"heic\0\0\0\0mif1heic"), "a still HEIF picture, not a clip"),
    "sound alone": (clip_files.sound_only, "no video track; it has 1 audio track"),
    "encrypted": (lambda: clip_files.clip().replace(b"avc1", b"encv"), "encrypted, or of a codec"),
    "unknown codec": (lambda: clip_files.clip().replace(b"avc1", b"zz99"), "encrypted, or of a codec"),
    "no frame": (lambda: patched(clip_files.clip(), b"stsz", 4, (1, 0)), "no frame that can be decoded"),
    "frames of two sizes": (
        lambda: of_jpegs((64, 48), (64, 48), (80, 48)),
        "frame 2 of the clip is 80 x 48 pixels, and the frames before it are 64 x 48",
    ),
    "a billion frames": (lambda: patched(clip_files.clip(), b"stsz", 4, (1, 10**9)), "promises 1,000,000,000 samples"),
    "more fragments": (lambda: box(b"moof", box(b"traf", box(b"trun", struct.pack(">II", 0, 10**9)))), "promises"),
    "boxes": (lambda: box(b"moov", box(b"trak", b"") * 160_000), "boxes"),
    "a compressed head": (lambda: box(b"moov", box(b"cmov", zlib.compress(bytes(10**6)))), "compressed"),
    "huge GIF": (lambda: image("GIF")[:6] + b"\xff" * 4 + image("GIF")[10:], "pixels, more than|bomb"),
    "GIF without a picture": (lambda: b"GIF89a\x09\0\x09\0\0\0\0;", "a broken or unsupported animation"),
    "WebP without a picture": (lambda: b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0", "animation|decoded"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_file_gives_one_line(kind):
    made, expected = HOSTILE[kind]
    assert re.search(expected, problem_of(made()))


def test_a_file_that_promises_much_takes_little_memory():
    data = patched(clip_files.clip(), b"stsz", 4, (1, 50_000_000))
    tracemalloc.start()
    problem_of(data)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


# ---- truncated and damaged ----------------------------------------------------------------------------------------
TRUNCATED = {
    "mp4": lambda: clip_files.clip(sound=1),
    "mkv": lambda: clip_files.clip("matroska", sound=1),
    "webm": lambda: clip_files.clip("webm", "libvpx-vp9"),
    "ts": lambda: clip_files.clip("mpegts", sound=1),
    "avi": lambda: clip_files.clip("avi", "mpeg4"),
    "flv": lambda: clip_files.clip("flv", sound=1),
    "fragmented": lambda: clip_files.clip("mp4", container_options={"movflags": "frag_keyframe+empty_moov"}),
    "gif": lambda: animation("GIF"),
    "webp": lambda: animation("WEBP"),
    "png": lambda: animation("PNG"),
}


def animation(kind):
    out = io.BytesIO()
    rest = [Image.fromarray(clip_files.picture(number)) for number in range(10)]
    rest[0].save(out, kind, save_all=True, append_images=rest[1:], duration=50)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRUNCATED)
def test_a_clip_cut_anywhere_is_told_or_gives_the_frames_that_it_has(kind):
    data = TRUNCATED[kind]()
    whole = probe(data, "whole").frames
    for length in np.linspace(0, len(data) - 1, 40).astype(int):
        try:
            info = probe(data[:length], "cut")
        except InputError as error:
            check_line(error)
        else:
            assert 0 < info.frames <= whole
            assert sum(1 for _ in frames(data[:length], range(info.frames), info)) == info.frames


@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "avi", "gif", "webp", "png"])
def test_a_clip_cut_in_the_middle_says_how_many_frames_can_be_decoded(kind):
    data = TRUNCATED[kind]()
    if kind == "mp4":
        data = index_first(data)
    message = problem_of(data[: len(data) * (9 if kind == "avi" else 6) // 10])
    assert "truncated or damaged" in message
    count = int(message.split("damaged: ")[1].split(" ")[0])
    assert count < 30
    if kind in {"mp4", "mkv", "webm", "avi"}:
        assert " of 30 frames" in message
    if kind != "webp":  # libwebp refuses the file as a whole
        assert count > 0


def index_first(data):
    """The MP4 file with its index before its frames, whose offsets are moved by its length."""
    start = data.index(b"moov") - 4
    media, moov = data[:start], data[start : start + int.from_bytes(data[start : start + 4], "big")]
    head = media.index(b"mdat") - 4
    moved = bytearray(moov)
    place = 0
    while (place := moved.find(b"stco", place + 1)) > 0:
        for entry in range(int.from_bytes(moved[place + 8 : place + 12], "big")):
            at = place + 12 + 4 * entry
            moved[at : at + 4] = (int.from_bytes(moved[at : at + 4], "big") + len(moov)).to_bytes(4, "big")
    return media[:head] + bytes(moved) + media[head:]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mp4", "mkv", "webm", "ts", "gif", "webp", "png"])
def test_changed_bytes_never_crash(kind):
    data, random = TRUNCATED[kind](), np.random.default_rng(3)
    for _ in range(40):
        broken = bytearray(data)
        for place in random.integers(0, len(data), random.integers(1, 20)):
            broken[place] = random.integers(256)
        try:
            info = probe(bytes(broken), "broken")
            list(frames(bytes(broken), range(0, info.frames, 3), info))
        except InputError as error:
            check_line(error)


# ---- odd, but clips -----------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_odd_clips_are_clips():
    assert probe(clip_files.clip(size=(2, 2)), "tiny").frames == 30
    assert probe(clip_files.clip("matroska", "ffv1", pixels="bgr0", size=(1, 1)), "1 px").width == 1
    assert probe(clip_files.clip(times=range(120), time_base=Fraction(1, 120)), "fast").rate == 120
    assert probe(clip_files.clip(times=[0]), "one").frames == 1
    assert probe(of_jpegs((7680, 4320)), "8K").width == 7680


# ---- limits -------------------------------------------------------------------------------------------------------
def test_what_is_too_large_is_told(monkeypatch):
    data = clip_files.clip()
    for name, limit, expected in (
        ("MAX_BYTES", 100, "bytes, more than the 100"),
        ("MAX_PIXELS", 64 * 48 - 1, "64 x 48 = 3,072 pixels, more than the 3,071"),
        ("MAX_FRAMES", 29, "more than the 29 frames"),
        ("MAX_TOTAL_PIXELS", 30 * 64 * 48 - 1, "more than the 92,159 pixels in all frames together"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(containers, name, limit)
            assert expected in problem_of(data)
    monkeypatch.setattr(decoding, "_MAX_PACKETS", 20)
    assert "more than the 20 packets" in problem_of(data)


def test_the_missing_extra_is_told(monkeypatch):
    data = clip_files.clip()
    monkeypatch.setitem(sys.modules, "av", None)
    message = problem_of(data)
    assert "clips need the extra 'video'" in message
    assert "pip install 'nst-batch[video]'" in message
    assert probe(animation("GIF"), "gif").frames == 10


def test_the_log_of_the_libraries_stays_quiet(capfd):
    problem_of(clip_files.clip()[:-50].replace(b"avc1", b"encv"))
    assert capfd.readouterr().err == ""
    assert av.logging.get_level() is None or av.logging.get_level() <= av.logging.ERROR
