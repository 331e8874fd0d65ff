"""Clips through planning, a worker and the catalog: frames, shots, resume, other selections, and what rows say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import warm
from cells import blocks
from sweeps import plan, run, write

from nst.errors import TransientError, UserError
from tasks.work import clip_frames
from tasks.work.stylize import Stylist

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("cv2", reason="needs the extra `video`")

WIDTH, HEIGHT = 64, 48
METHOD = (
    "{name: gatys, size: 64, steps: 3, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}%s}"
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a clip of eight stills: a picture that moves by two pixels, and a cut after the fifth."""
    (tmp_path / "clip").mkdir()
    scenes = [blocks(seed, HEIGHT, WIDTH + 40) for seed in (1, 2)]
    for number in range(8):
        scene, at = scenes[number >= 5], 2 * number
        write(tmp_path / f"clip/{number:02}.png", np.ascontiguousarray(scene[:, at : at + WIDTH]))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    return tmp_path


def manifest(contents: str = "{video: clip/}", changes: str = "", rest: str = "") -> str:
    return f"name: moving\ncontents: {contents}\nstyles: waves.png\nmethod: {METHOD % changes}\n{rest}"


def frames(prepared: Any, cell: int = 0) -> list[dict[str, Any]]:
    """Return the published rows of the frames of a cell, by pass and number."""
    prepared.root.catalog.publish("frames")
    table = pq.read_table(prepared.root.uri.removeprefix("file://") + "/catalog/frames").to_pylist()
    mine = [row for row in table if row["cell_id"] == prepared.plan.cells.ids[cell]]
    return sorted(mine, key=lambda row: (row["pass"], row["frame"]))


def test_a_row_for_each_frame_and_one_for_the_clip(folder):
    prepared = plan(folder, manifest())
    (row,) = run(prepared)
    found = frames(prepared)
    assert [one["frame"] for one in found] == list(range(8))
    assert [one["shot"] for one in found] == [0] * 5 + [1] * 3
    assert [one["time"] for one in found] == pytest.approx([number / 24 for number in range(8)])
    assert [one["steps_done"] for one in found] == [3, 1, 1, 1, 1, 3, 1, 1]
    assert [one["warping_error"] is None for one in found] == [number in {0, 5} for number in range(8)]
    assert row["clip_frames"] == 8
    assert row["clip_shots"] == 2
    assert row["clip_seconds"] == pytest.approx(8 / 24)
    assert row["steps_done"] == 12
    assert row["loss"] == pytest.approx(np.mean([one["loss"] for one in found]))
    pairs = [one["warping_error"] for one in found if one["warping_error"] is not None]
    assert row["warping_error"] == pytest.approx(np.mean(pairs))
    assert row["picture_format"] == "mp4"
    assert row["picture_width"], row["picture_height"] == (WIDTH, HEIGHT)


def test_every_frame_starts_from_the_saved_frame_before(folder, monkeypatch):
    """The starts that the method is given, against the files on disk moved by the exact motion."""
    seen = []
    real = clip_frames.stylize_in_memory

    def watch(requests, *rest):
        seen.append(requests[0])
        return real(requests, *rest)

    monkeypatch.setattr(clip_frames, "stylize_in_memory", watch)
    prepared = plan(folder, manifest("{video: clip/, frames: 0-1}"))
    run(prepared)
    first, second = frames(prepared)
    from PIL import Image

    saved = np.asarray(Image.open(first["picture_uri"].removeprefix("file://")))
    assert seen[0].start is None
    inside = (slice(8, -8), slice(8, -16))
    moved = np.roll(saved, -2, axis=1)
    share = seen[1].before[0].weights[inside]
    assert share.mean() > 0.8
    gap = np.abs(seen[1].before[0].picture * 255 - moved)[inside].max(2)
    assert np.median(gap[share > 0.99]) < 3  # the motion is found to a fraction of a pixel
    assert second["temporal_loss"] > 0


def test_a_run_that_was_interrupted_gives_the_same_frames(folder, monkeypatch):
    whole = plan(folder, manifest())
    run(whole)
    expected = [row["picture_digest"] for row in frames(whole)]
    for moment in (1, 4, 6):
        (folder / "out").rename(folder / f"out-{moment}")
        broken = plan(folder, manifest())
        stylist, calls = Stylist(broken.root, "cpu"), 0
        real = clip_frames.stylize_in_memory

        def fail(*arguments, moment=moment, real=real):
            nonlocal calls
            calls += 1
            if calls > moment:
                raise TransientError("the store is gone")
            return real(*arguments)

        monkeypatch.setattr(clip_frames, "stylize_in_memory", fail)
        (batch,) = broken.plan.batches()
        with pytest.raises(TransientError):
            stylist.run(broken.job(batch))
        monkeypatch.setattr(clip_frames, "stylize_in_memory", real)
        assert len(frames(broken)) == moment
        again = plan(folder, manifest())
        run(again)
        assert [row["picture_digest"] for row in frames(again)] == expected


def test_another_selection_makes_only_what_is_new(folder, monkeypatch):
    run(plan(folder, manifest("{video: clip/, frames: 0-3}")))
    made = []
    real = clip_frames.stylize_in_memory

    def count(requests, *rest):
        made.append(requests[0].content.digest.rpartition("#")[2])
        return real(requests, *rest)

    monkeypatch.setattr(clip_frames, "stylize_in_memory", count)
    longer = plan(folder, manifest("{video: clip/, frames: 0-6}"))
    run(longer)
    assert made == ["4", "5", "6"]
    assert [row["frame"] for row in frames(longer)] == list(range(7))  # rows of its own for all of them
    run(plan(folder, manifest("{video: clip/, frames: 1-3}")))  # another past: nothing can be taken over
    assert made[3:] == ["1", "2", "3"]


def test_variants_go_through_a_frame_together(folder, monkeypatch):
    sizes = []
    real = clip_frames.stylize_in_memory
    monkeypatch.setattr(
        clip_frames, "stylize_in_memory", lambda requests, *rest: sizes.append(len(requests)) or real(requests, *rest)
    )
    text = manifest(
        "{video: clip/, frames: 0-2}",
        ", video: {steps: 4}",
        "sweep: {style_weight: [1, 10], temporal_weight: [0, 5]}\n",
    )
    rows = run(plan(folder, text))
    assert sizes == [4, 4, 4]
    assert len({row["picture_digest"] for row in rows}) == 4


def test_more_weight_flickers_less(folder):
    text = manifest(
        "{video: clip/, frames: 0-4}", ", style_weight: 1e3, video: {steps: 30}", "sweep: {temporal_weight: [0, 1e4]}\n"
    )
    free, held = run(plan(folder, text))
    assert held["warping_error"] < 0.7 * free["warping_error"]
    assert held["source_warping_error"] == free["source_warping_error"]


def test_a_second_pass_goes_backwards_and_starts_from_the_first(folder, monkeypatch):
    order = []
    real = clip_frames.stylize_in_memory

    def watch(requests, *rest):
        order.append((int(requests[0].content.digest.rpartition("#")[2]), requests[0]))
        return real(requests, *rest)

    monkeypatch.setattr(clip_frames, "stylize_in_memory", watch)
    prepared = plan(folder, manifest("{video: clip/, frames: 0-3}", ", video: {passes: 2}"))
    (row,) = run(prepared)
    assert [number for number, _ in order] == [0, 1, 2, 3, 3, 2, 1, 0]
    first_pass = frames(prepared)[:4]
    from PIL import Image

    own = np.asarray(Image.open(first_pass[3]["picture_uri"].removeprefix("file://")))
    np.testing.assert_array_equal(order[4][1].start.array, own)  # the turning point has no neighbour behind it
    assert row["clip_frames"] == 4
    assert len(frames(prepared)) == 8


def test_a_method_without_motion_makes_each_frame_by_itself(folder):
    text = manifest("{video: clip/, frames: 0-2}").replace(METHOD % "", "{name: baseline, kind: content, size: 64}")
    prepared = plan(folder, text)
    (row,) = run(prepared)
    assert row["warping_error"] == pytest.approx(row["source_warping_error"])


def test_the_shots_of_a_clip_may_be_made_in_parts(folder):
    prepared = plan(folder, manifest())
    (batch,) = prepared.plan.batches()
    parts = prepared.job(batch).parted(2)
    stylist = Stylist(prepared.root, "cpu")
    for part, expected in zip(parts, ([0, 1, 2, 3, 4], list(range(8))), strict=True):
        assert stylist.run(part).done == ()
        assert [row["frame"] for row in frames(prepared)] == expected
    (row,) = run(prepared)
    assert row["clip_frames"] == 8


@pytest.mark.slow
def test_the_shots_of_one_clip_go_to_all_devices(folder):
    (folder / "m.yaml").write_text(manifest())
    ended = warm.nst("run", "m.yaml", "--inline", "--devices", "cpu,cpu", cwd=folder, XDG_CACHE_HOME=str(folder / "c"))
    assert ended.returncode == 0, ended.stderr
    table = pq.read_table(folder / "out/catalog/frames").to_pylist()
    workers = {row["shot"]: row["worker"] for row in table}
    assert len(table) == 8
    assert workers.keys() == {0, 1}
    assert workers[0] != workers[1]


def test_a_frame_whose_picture_is_lost_is_made_again(folder):
    prepared = plan(folder, manifest("{video: clip/, frames: 0-2}"))
    run(prepared)
    digests = [row["picture_digest"] for row in frames(prepared)]
    (lost,) = (folder / "out").glob(f"pictures/*/{digests[1]}.png")
    lost.unlink()
    longer = plan(folder, manifest("{video: clip/, frames: 0-3}"))
    run(longer)
    assert [row["picture_digest"] for row in frames(longer)][:3] == digests
    assert lost.exists()


@pytest.mark.parametrize(
    ("contents", "rest", "message"),
    [
        ("{video: clip/, frames: 3-20}", "", "found frames: 3-20, but .* has 8 frames; they are 0-7"),
        ("{video: clip/, frames: 5-3}", "", "found '5-3', expected the first frame before the last one"),
        ("{video: clip/, frames: 1 to 3}", "", "frames"),
        ("{uri: waves.png, frames: 1-3}", "", "found 'frames' without a clip"),
        ("{video: clip/, uri: waves.png}", "", "found both 'uri' and 'video'"),
        ("{video: '*.mp4'}", "", "names 2 files, .* which is a clip by itself"),
        ("{video: none/}", "", "matches no file|names no file"),
        ("{video: clip/}", "budget: {frames: 5}", r"m.yaml:\d+:\d+: .*have 8 frames together; its budget is 5"),
        (
            "{video: clip/}",
            "budget: {megapixels: 0.001}",
            r"m.yaml:\d+:\d+: .* megapixels together; its budget is 0.001",
        ),
        ("{video: clip/}", "output: {alpha: true}", "clips hold no transparency"),
    ],
)
def test_what_cannot_be_done_is_told_at_its_place(folder, contents, rest, message):
    for name in ("one.mp4", "two.mp4"):
        (folder / name).write_bytes(b"")
    with pytest.raises(UserError, match=message):
        plan(folder, manifest(contents, rest=rest))


def test_settings_for_clips_need_a_clip(folder):
    with pytest.raises(UserError, match=r"temporal_weight has no effect: no content of this manifest is a clip"):
        plan(folder, manifest("waves.png", ", temporal_weight: 5"))


def test_a_file_keeps_the_times_of_its_frames_and_its_sound(folder, shared_data):
    """Read back with PyAV: frames 10 and 12 of a real clip with their times, and its sound between them as it is."""
    import av

    source = shared_data / "video" / "cutBunny.mp4"
    (row,) = run(plan(folder, manifest(f"{{video: {source}, frames: 10-13, every: 2}}")))
    made = row["picture_uri"].removeprefix("file://")

    def times(file):
        with av.open(str(file)) as container:
            return [frame.pts * frame.time_base for frame in container.decode(video=0)]

    def sound(file):
        with av.open(str(file)) as container:
            packets = container.demux(container.streams.audio[0])
            return {p.pts * p.time_base: bytes(p) for p in packets if p.size}

    theirs = times(source)
    assert times(made) == [theirs[10], theirs[12]]
    assert row["clip_seconds"] == pytest.approx(float(theirs[14] - theirs[10]))
    ours, whole = sound(made), sound(source)
    assert ours.items() <= whole.items()
    inside = [when for when in whole if theirs[10] <= when < theirs[14] - 1024 / 44100]
    assert inside
    assert set(inside) <= set(ours)
    assert (row["clip_first"], row["clip_last"], row["clip_every"]) == (10, 12, 2)


def test_the_cut_of_a_real_clip_begins_a_shot(folder, shared_data):
    where = f"{shared_data / 'video' / 'bunny_cut'}/*.jpg"
    prepared = plan(folder, manifest(f"{{video: '{where}', frames: 5-8}}"))
    run(prepared)
    assert [(row["frame"], row["shot"]) for row in frames(prepared)] == [(5, 0), (6, 0), (7, 1), (8, 1)]  # 7 is 0235
