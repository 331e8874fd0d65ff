"""Clips as they are written: exact times, lossless frames, the sound bit for bit, the same bytes again."""

from __future__ import annotations

import weakref
from fractions import Fraction
from types import SimpleNamespace

import av
import clip_files
import numpy as np
import pytest

from nst.errors import InputError
from tasks.clips.preview import animated_preview, preview_frames
from tasks.clips.probe import probe
from tasks.clips.reading import frames
from tasks.clips.writing import EXTENSIONS, write_clip
from tasks.layout import copy_key
from tasks.store.local import LocalStore
from tasks.work.clip_copies import write_copies

UNEVEN = [700, 711, 712, 740, 741, 797, 798, 799, 1000, 1500]


def pictures(count, height=48, width=64):
    return [clip_files.picture(number, height, width) for number in range(count)]


def noise(count, height=49, width=65):
    return list(np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8))


# ---- times --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["h264", "vp9", "av1"])
@pytest.mark.parametrize(
    ("times", "time_base"),
    [
        (range(12), Fraction(1, 24)),
        (range(100, 124, 2), Fraction(1001, 30000)),
        ([time * 512 for time in range(20, 30)], Fraction(1, 12288)),
        (UNEVEN, Fraction(1, 1200)),
        ([time * 1501 for time in range(12)], Fraction(1, 180_000)),  # 120 frames per second, nearly
    ],
)
def test_every_time_is_that_of_the_source_exactly(kind, times, time_base, tmp_path):
    target = tmp_path / "out.mp4"
    written = write_clip(pictures(len(times)), times, time_base, kind, target)
    expected = [time * time_base for time in times]
    assert clip_files.stated_times(target.read_bytes()) == expected
    assert list(written.times) == expected


@pytest.mark.parametrize(("kind", "ending"), [("h264", ".mkv"), ("vp9", ".webm"), ("ffv1", ".mkv")])
def test_matroska_keeps_times_to_the_millisecond(kind, ending, tmp_path):
    target = tmp_path / f"out{ending}"
    times = range(7, 100, 9)
    written = write_clip(pictures(len(times)), times, Fraction(1001, 30000), kind, target)
    expected = [Fraction(round(time * Fraction(1001, 30)), 1000) for time in times]
    assert clip_files.stated_times(target.read_bytes()) == expected == list(written.times)


def test_the_last_frame_is_shown_until_the_given_end(tmp_path):
    target = tmp_path / "out.mp4"
    write_clip(pictures(3), [0, 10, 20], Fraction(1, 100), "h264", target, end=70)
    with av.open(str(target)) as container:
        assert container.streams.video[0].duration * container.streams.video[0].time_base == Fraction(70, 100)


@pytest.mark.parametrize(("kind", "step"), [("gif", 10), ("webp", 1)])
def test_rounded_times_do_not_drift(kind, step, tmp_path):
    target = tmp_path / f"out.{kind}"
    times = range(3, 43)
    written = write_clip(pictures(40), times, Fraction(1001, 24000), kind, target)
    info = probe(target.read_bytes(), "out")
    assert info.seconds == written.times
    exact = [float((time - 3) * Fraction(1001, 24)) for time in times]
    assert np.abs(np.array([float(second * 1000) for second in info.seconds]) - exact).max() <= step / 2


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_animations_refuse_what_browsers_would_show_slowly(kind, tmp_path):
    target = tmp_path / f"out.{kind}"
    with pytest.raises(InputError, match=r"cannot show a frame for \d+ ms"):
        write_clip(pictures(4), range(4), Fraction(1, 120), kind, target)
    assert not target.exists()


# ---- pictures -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(48, 64), (49, 65), (1, 1), (3, 200)])
def test_ffv1_is_lossless(size, tmp_path):
    target = tmp_path / "out.mkv"
    written = noise(4, *size)
    write_clip(iter(written), range(4), Fraction(1, 24), "ffv1", target)
    assert all(np.array_equal(picture, written[number]) for number, picture in frames(target.read_bytes(), range(4)))


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_flat_colours_come_back(kind, tmp_path):
    target = tmp_path / f"out{EXTENSIONS[kind][0]}"
    write_clip(pictures(6, 64, 96), range(6), Fraction(1, 24), kind, target)
    for number, picture in frames(target.read_bytes(), range(6)):
        expected = clip_files.picture(number, 64, 96).astype(int)
        for part in ((slice(8, 24), slice(8, 40)), (slice(40, 56), slice(56, 88)), (slice(8, 24), slice(56, 88))):
            assert np.abs(picture[part] - expected[part]).mean() < 4


@pytest.mark.parametrize(("kind", "expected"), [("h264", (50, 66)), ("av1", (50, 66)), ("vp9", (49, 65))])
def test_an_odd_size_is_padded_by_the_last_line_and_said(kind, expected, tmp_path):
    target = tmp_path / "out.mp4"
    flat = [np.full((49, 65, 3), 60 + number, np.uint8) for number in range(3)]
    for picture in flat:
        picture[-1] = 200
    written = write_clip(flat, range(3), Fraction(1, 24), kind, target)
    info = probe(target.read_bytes(), "out")
    assert (info.height, info.width) == (written.height, written.width) == expected
    last = next(picture for _, picture in frames(target.read_bytes(), [1]))[-1]
    assert np.abs(last.astype(int) - 200).mean() < 12


@pytest.mark.parametrize("kind", EXTENSIONS)
def test_equal_arguments_give_equal_bytes(kind, shared_data, tmp_path):
    data = clip_files.bunny(shared_data)
    cut = [picture[:96, :128] for _, picture in frames(data, range(30))]
    for name in ("a", "b"):
        target = tmp_path / f"{name}{EXTENSIONS[kind][0]}"
        write_clip(iter(cut), range(30), Fraction(1, 24), kind, target, audio_from=data)
    assert len({file.read_bytes() for file in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("kind", ["h264", "vp9", "ffv1", "gif", "webp"])
def test_few_frames_are_in_memory_at_a_time(kind, tmp_path):
    alive, most = weakref.WeakSet(), 0

    class Tracked(np.ndarray):
        def __hash__(self):
            return id(self)

    def streamed():
        nonlocal most
        for picture in noise(60, 32, 32):
            tracked = picture.copy().view(Tracked)
            alive.add(tracked)
            most = max(most, len(alive))
            yield tracked
            del tracked

    write_clip(streamed(), range(60), Fraction(1, 24), kind, tmp_path / f"out{EXTENSIONS[kind][0]}")
    assert most <= 4


def test_the_index_of_an_mp4_file_comes_first(tmp_path):
    target = tmp_path / "out.mp4"
    write_clip(pictures(3), range(3), Fraction(1, 24), "h264", target)
    data = target.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


# ---- sound --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("kind", "ending"), [("h264", ".mp4"), ("vp9", ".mp4"), ("av1", ".mp4"), ("h264", ".mov")])
def test_the_sound_is_copied_bit_for_bit_with_its_times(kind, ending, shared_data, tmp_path):
    data, target = clip_files.bunny(shared_data), tmp_path / f"out{ending}"
    write_clip(pictures(240), range(240), Fraction(1, 24), kind, target, audio_from=data)
    assert clip_files.sound_packets(target.read_bytes()) == clip_files.sound_packets(data)
    assert len(clip_files.sound_packets(data)[0]) == 432


@pytest.mark.parametrize("kind", ["ffv1", "h264", "vp9", "av1"])
def test_sound_that_begins_before_the_first_frame_moves_no_frame_of_a_matroska_file(kind, tmp_path):
    """The first packet of AAC begins 1024 samples before 0, and is there for the decoder alone."""
    source, target = clip_files.clip(sound=2), tmp_path / "out.mkv"
    write_clip(pictures(30), range(30), Fraction(1, 24), kind, target, audio_from=source)
    found, expected = (clip_files.sound_packets(data) for data in (target.read_bytes(), source))
    assert clip_files.stated_times(target.read_bytes()) == [Fraction(round(n / 24 * 1000), 1000) for n in range(30)]
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs[0][0] == -Fraction(1024, 44100)
        assert [packet for _, packet in ours] == [packet for _, packet in theirs]
        assert all(abs(a - b) < Fraction(1, 1000) for (a, _), (b, _) in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("sound", [0, 1, 2])
@pytest.mark.parametrize("source", ["mp4", "matroska"])
def test_every_track_is_copied(source, sound, tmp_path):
    data, target = clip_files.clip(source, sound=sound), tmp_path / "out.mp4"
    write_clip(pictures(30), range(30), Fraction(1, 24), "h264", target, audio_from=data)
    found, expected = clip_files.sound_packets(target.read_bytes()), clip_files.sound_packets(data)
    assert len(found) == sound
    assert [[packet for _, packet in track] for track in found] == [
        [packet for _, packet in track] for track in expected
    ]
    if source == "mp4":
        assert found == expected


def test_sound_is_cut_to_the_part_that_is_taken(shared_data, tmp_path):
    data, target = clip_files.bunny(shared_data), tmp_path / "out.mp4"
    times, within = range(96, 120), (Fraction(4), Fraction(5))
    write_clip(pictures(24), times, Fraction(1, 24), "h264", target, audio_from=data, audio_within=within)
    (found,), (whole,) = clip_files.sound_packets(target.read_bytes()), clip_files.sound_packets(data)
    length = Fraction(1024, 44100)
    assert found == [packet for packet in whole if packet[0] + length > 4 and packet[0] < 5]
    assert clip_files.stated_times(target.read_bytes())[0] == 4


def test_a_container_that_cannot_hold_the_sound_is_told(tmp_path):
    target = tmp_path / "out.webm"
    with pytest.raises(InputError, match="the sound of the clip is aac, which webm cannot hold"):
        write_clip(pictures(3), range(3), Fraction(1, 24), "vp9", target, audio_from=clip_files.clip(sound=1))
    assert not target.exists()


# ---- what cannot be written ---------------------------------------------------------------------------------------
def test_what_cannot_be_written_is_told_and_leaves_no_file(tmp_path):
    with pytest.raises(InputError, match=r"out.mp4 cannot hold ffv1, expected .mkv"):
        write_clip(pictures(2), range(2), Fraction(1, 24), "ffv1", tmp_path / "out.mp4")
    with pytest.raises(InputError, match="frames of 1 x 1 cannot be written as av1"):
        write_clip(noise(2, 1, 1), range(2), Fraction(1, 24), "av1", tmp_path / "out.mp4")
    with pytest.raises(InputError, match="frames come faster"):
        write_clip(pictures(3), range(3), Fraction(1, 5000), "ffv1", tmp_path / "out.mkv")
    with pytest.raises(InputError, match="finer than an MP4 file can state"):
        write_clip(pictures(3), range(3), Fraction(1, 10**10), "h264", tmp_path / "out.mp4")
    with pytest.raises(InputError, match="a frame has the shape"):
        write_clip([*pictures(2), *noise(1)], range(3), Fraction(1, 24), "h264", tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_failure_among_the_frames_leaves_no_file(tmp_path):
    def broken():
        yield from pictures(3)
        raise RuntimeError("no more")

    for kind in EXTENSIONS:
        with pytest.raises(RuntimeError, match="no more"):
            write_clip(broken(), range(9), Fraction(1, 24), kind, tmp_path / f"out{EXTENSIONS[kind][0]}")
    assert list(tmp_path.iterdir()) == []


# ---- previews -----------------------------------------------------------------------------------------------------
def test_a_preview_spans_the_clip_in_at_most_48_small_frames():
    assert preview_frames(5) == [0, 1, 2, 3, 4]
    shown = preview_frames(240)
    assert (len(shown), shown[0], shown[1]) == (48, 0, 5)
    data = animated_preview(noise(48, 360, 640), [Fraction(number, 24) for number in shown], Fraction(10))
    info = probe(data, "preview")
    assert (info.frames, info.width, info.height) == (48, 256, 144)
    assert info.seconds[-1] == pytest.approx(235 / 24, abs=0.001)


@pytest.mark.parametrize(
    ("uri", "copied"),
    [("file:///in/town.mp4", False), ("s3://in/town.webm", False), ("file:///in/town.gif", True)]
    + [(f"{protocol}://host/town.mp4", True) for protocol in ("http", "https")],
)
def test_a_content_that_no_page_may_ask_for_has_a_copy(uri, copied, tmp_path):
    clip = SimpleNamespace(stills=False), SimpleNamespace(uri=uri)
    times = {"times": range(3), "time_base": Fraction(1, 24), "end": 3, "numbers": range(3)}
    source = SimpleNamespace(clip=SimpleNamespace(clip=clip[0], ref=clip[1], **times), frame=pictures(3).__getitem__)
    store = LocalStore(tmp_path)
    write_copies(store, source, "ab12", "mp4", [])
    assert (store.head(copy_key("ab12", content=True)) is not None) == copied
    assert store.head(copy_key("ab12")) is None
