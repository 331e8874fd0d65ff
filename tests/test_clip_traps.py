"""What goes wrong around clips: damaged frames, stills and caches, networks that enlarge, last steps, lying numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from cells import blocks
from clip_files import clip
from sweeps import plan, rows, run, write
from test_finish import write_network

from nst.errors import ManifestError, TransientError
from nst.pictures.images import decode
from tasks.removal import plan_removal
from tasks.work import clip_frames, clip_past
from tasks.work.stylize import Stylist

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

WIDTH, HEIGHT = 64, 48
GATYS = "{name: gatys, size: 64, steps: 4, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}"
MDAN = "{name: mdan, size: 48, steps: 1, pyramid: {levels: 1}, content_layers: relu1_1, style_layers: relu1_1, "
MDAN += "backbone: {weights: random}}"
ENLARGING = "{name: feedforward, family: super_resolution, model: double.safetensors, size: 64}"
MANIFEST = "name: trap\ncontents: {video: clip/}\nmethod: "
STYLED = "styles: waves.png\n" + MANIFEST


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip of four stills, a picture that moves by two pixels, and a network that doubles sizes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "clip").mkdir()
    scene = blocks(1, HEIGHT, WIDTH + 40)
    for number in range(4):
        write(tmp_path / f"clip/{number:02}.png", np.ascontiguousarray(scene[:, 2 * number : 2 * number + WIDTH]))
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    write_network(tmp_path / "double.safetensors", factor=2)
    return tmp_path


def frames(prepared: Any) -> list[dict[str, Any]]:
    """Return the published rows of the frames of the first cell, by pass and number."""
    prepared.root.catalog.publish("frames")
    table = pq.read_table(prepared.root.uri.removeprefix("file://") + "/catalog/frames").to_pylist()
    mine = [row for row in table if row["cell_id"] == prepared.plan.cells.ids[0]]
    return sorted(mine, key=lambda row: (row["pass"], row["frame"]))


def pictures(prepared: Any) -> list[np.ndarray]:
    return [decode(Path(row["picture_uri"].removeprefix("file://")).read_bytes()) for row in frames(prepared)]


def failures(prepared: Any) -> list[str]:
    """Run a planned sweep all of whose cells fail, and return what their rows say."""
    stylist = Stylist(prepared.root, "cpu")
    for batch in prepared.plan.batches():
        assert stylist.run(prepared.job(batch)).done == ()
    return [row["error_message"] for row in rows(prepared, "failures")]


def test_a_last_step_is_applied_to_every_frame_and_counts_in_its_id(folder):
    """The frames of the cell without a last step are on record; they are not taken for those with it."""
    plain = plan(folder, STYLED + MDAN)
    run(plain)
    finished = plan(folder, STYLED + MDAN + "\nfinish: {model: double.safetensors}\n")
    (row,) = run(finished)
    assert (row["picture_width"], row["picture_height"]) == (96, 72)
    assert [picture.shape for picture in pictures(plain)] == [(36, 48, 3)] * 4
    assert [picture.shape for picture in pictures(finished)] == [(72, 96, 3)] * 4
    ids = [{one["frame_id"] for one in frames(prepared)} for prepared in (plain, finished)]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{STYLED}{GATYS}\nfinish: {{model: double.safetensors}}\n", ":5:1:"),
        (f"{STYLED}{GATYS[:-1]}, finish: {{model: double.safetensors}}}}\n", ":4:"),
        (f"{STYLED}{GATYS}\nsweep: {{finish: [null, {{model: double.safetensors}}]}}\n", ":4:1:"),
    ],
)
def test_a_last_step_of_frames_that_follow_from_each_other_is_refused_at_its_place(folder, text, place):
    with pytest.raises(ManifestError, match="'finish' would add up along the clip") as caught:
        plan(folder, text)
    assert place in str(caught.value)


def test_a_network_that_mixes_nothing_may_have_a_last_step(folder):
    text = ENLARGING.replace("}", ", video: {blend: 0}}") + "\nfinish: {model: double.safetensors}\n"
    (row,) = run(plan(folder, MANIFEST + text))
    assert row["picture_width"] == 4 * WIDTH


def test_a_network_that_enlarges_makes_every_frame_by_itself(folder):
    """Each frame is that of a clip of this frame alone; the statistics of the shot are not held here."""
    text = ENLARGING.replace("}", ", video: {hold_statistics: false}}")
    whole = plan(folder, MANIFEST + text)
    (row,) = run(whole)
    assert (row["picture_width"], row["picture_height"], row["clip_frames"]) == (2 * WIDTH, 2 * HEIGHT, 4)
    for number in (1, 3):
        one = plan(folder, (MANIFEST + text).replace("clip/", f"clip/, frames: {number}-{number}"))
        run(one)
        assert (pictures(one)[0] == pictures(whole)[number]).all()


def test_a_frame_whose_picture_is_damaged_is_made_again(folder):
    prepared = plan(folder, STYLED.replace("clip/", "clip/, frames: 0-2") + GATYS)
    run(prepared)
    digests = [row["picture_digest"] for row in frames(prepared)]
    (damaged,) = (folder / "out").glob(f"pictures/*/{digests[1]}.png")
    data = damaged.read_bytes()
    damaged.write_bytes(data[: len(data) // 2])
    longer = plan(folder, STYLED + GATYS)
    run(longer)
    assert [row["picture_digest"] for row in frames(longer)][:3] == digests
    assert damaged.read_bytes() == data


def test_a_broken_still_is_named(folder):
    file = folder / "clip/02.png"
    file.write_bytes(file.read_bytes()[:400])
    (message,) = failures(plan(folder, STYLED + GATYS))
    assert message.startswith(f"frame 2, file://{file}: ")


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", None])
def test_a_damaged_cache_makes_no_difference(folder, content):
    expected = plan(folder, STYLED + GATYS)
    run(expected)
    (folder / "out").rename(folder / "first")
    kept = list((folder / "cache").rglob("*.npy"))
    assert len(kept) == 4 + 2 * 3  # frames, and motions to and fro
    for file in kept:
        if content is None:
            np.save(file, np.zeros((3, 5, 3), np.uint8))
        else:
            file.write_bytes(content)
    again = plan(folder, STYLED + GATYS)
    run(again)
    saved = {path.name for path in (folder / "first/pictures").rglob("*.png")}
    assert {f"{row['picture_digest']}.png" for row in frames(again)} <= saved


def test_a_fault_of_the_way_through_a_clip_is_a_failure_with_its_trace(folder, monkeypatch):
    def fail(*_: Any, **__: Any) -> None:
        raise ArithmeticError("no motion")

    monkeypatch.setattr(clip_past, "closest_first", fail)
    assert failures(plan(folder, STYLED + GATYS)) == ["no motion"]


def test_a_clip_as_large_as_its_content_says_its_size_and_its_cost(folder):
    (row,) = run(plan(folder, STYLED + GATYS.replace("size: 64", "size: original, pyramid: {levels: 1}")))
    steps = 4 + 3 * 2  # later frames of a shot take half as many
    assert (row["size"], row["steps_done"], row["cost"]) == (WIDTH, steps, WIDTH * HEIGHT * steps)


def test_the_seconds_of_a_clip_are_those_of_its_frames_of_all_runs(folder):
    first = plan(folder, STYLED.replace("clip/", "clip/, frames: 0-2") + GATYS)
    run(first)
    (row,) = run(plan(folder, STYLED + GATYS))
    assert row["seconds"] > sum(one["seconds"] for one in frames(first))


def test_a_plan_counts_the_frames_that_an_interrupted_run_has_made(folder, monkeypatch):
    calls = iter(range(2))
    real = clip_frames.stylize_in_memory

    def stop(*arguments: Any) -> Any:
        if next(calls, None) is None:
            raise TransientError("the store is gone")
        return real(*arguments)

    text = STYLED + GATYS.replace("{name: gatys", "{name: gatys, video: {passes: 2}")
    before = plan(folder, STYLED + GATYS)
    assert before.frames() == (4, 0)
    assert plan(folder, text).frames() == (8, 0)
    monkeypatch.setattr(clip_frames, "stylize_in_memory", stop)
    (batch,) = before.plan.batches()
    with pytest.raises(TransientError):
        Stylist(before.root, "cpu").run(before.job(batch))
    monkeypatch.setattr(clip_frames, "stylize_in_memory", real)
    again = plan(folder, STYLED + GATYS)
    assert again.frames() == (4, 2)
    run(again)
    assert plan(folder, STYLED + GATYS).frames() == (0, 0)


def test_a_removal_says_the_bytes_of_the_frames_too(folder):
    prepared = plan(folder, STYLED + GATYS)
    run(prepared)
    (cell,) = prepared.plan.cells.ids
    prepared.root.catalog.commit("sweeps", "s", "s", [{"sweep_id": "s", "sweep_name": "s", "cell_id": cell}])
    planned = plan_removal(prepared.root, "s", "s")
    assert len(planned.pictures) == 5
    assert planned.picture_bytes == sum(file.stat().st_size for file in (folder / "out/pictures").rglob("*.*"))


def test_a_file_without_any_track_may_be_cut_off(folder):
    """The box `moov`, which names the tracks, is the last one of an MP4 as FFmpeg writes it."""
    data = clip(times=range(8))
    for size in (20, 150):
        (folder / "cut.mp4").write_bytes(data[: data.index(b"moov") + size])
        with pytest.raises(ManifestError, match="neither a video track nor sound; truncated"):
            plan(folder, (STYLED + GATYS).replace("clip/", "cut.mp4"))


def test_a_cache_of_another_version_is_not_looked_at(folder, monkeypatch):
    run(plan(folder, STYLED + GATYS))
    monkeypatch.setattr("tasks.work.clip_source.VERSION", 1000)
    run(plan(folder, STYLED + GATYS.replace("steps: 4", "steps: 3")))
    assert len(list((folder / "cache/nst/clips").iterdir())) == 2


def test_a_row_of_a_still_holds_no_settings_of_clips(folder):
    """A still beside a clip never looks at them: a value in its row would tell two equal pictures apart."""
    text = STYLED.replace("contents: {video: clip/}", "contents: [{video: clip/}, waves.png]") + GATYS[:-1]
    made = {row["content_name"]: row for row in run(plan(folder, text + ", temporal_weight: 7, video: {steps: 2}}\n"))}
    assert made["clip"]["temporal_weight"] == 7
    assert made["clip"]["video_steps"] == 2
    assert made["waves"]["temporal_weight"] is None
    assert made["waves"]["video_steps"] is None


def test_stills_follow_each_other_by_the_numbers_in_their_names(folder):
    """As programs write them that do not pad numbers: 10 comes after 9, and not after 1."""
    (folder / "seq").mkdir()
    for number in reversed(range(12)):
        write(folder / f"seq/f{number}.png", np.full((HEIGHT, WIDTH, 3), 20 * number, np.uint8))
    prepared = plan(folder, (STYLED + GATYS).replace("clip/", "seq/"))
    ref = prepared.plan.cells.contents[0].clip
    assert [Path(still.uri).stem for still in ref.stills] == [f"f{number}" for number in range(12)]


def test_a_question_mark_in_a_local_name_is_no_query(folder):
    (folder / "?x=1.mp4").write_bytes(clip(times=range(3)))
    prepared = plan(folder, (STYLED + GATYS).replace("clip/", "'?x=1.mp4'"))
    assert prepared.plan.cells.contents[0].clip.stills == ()
    with pytest.raises(ManifestError, match="is a clip, expected a still"):
        plan(folder, (STYLED + GATYS).replace("{video: clip/}", "'?x=1.mp4'"))
