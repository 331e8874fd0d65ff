"""`nst stylize` of a clip: the frames that a sweep makes, with the times and the sound of the source."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av", reason="needs the extra `video`")
pytest.importorskip("cv2", reason="needs the extra `video`")

import av
import clip_files
from PIL import Image
from sweeps import plan, rows, run
from test_finish import write_network
from typer.testing import CliRunner

from flows.__main__ import app
from nst.errors import UserError
from tasks.clips.kinds import is_clip
from tasks.models.stylize import Painter
from tasks.root import open_root
from tasks.work.clip_file import stylize_clip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_network(tmp_path / "paint.safetensors", "johnson", upsampling="nearest")
    write_network(tmp_path / "double.safetensors", factor=2)
    (tmp_path / "clip.mp4").write_bytes(clip_files.clip(times=range(6), sound=1))
    return tmp_path


def stylized(folder, model, out, **changes):
    painter = Painter(open_root(str(folder / "out")).catalog, model=f"{folder}/{model}.safetensors", **changes)
    seen = []
    made = stylize_clip(painter, "clip.mp4", out=folder / out, on_frame=lambda *done: seen.append(done))
    assert seen == [(number, 6) for number in range(1, 7)]
    assert made.frames == 6
    return made.path.read_bytes()


def frames_of(data):
    import io

    with av.open(io.BytesIO(data)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_its_frames_are_those_of_a_sweep_over_the_clip(folder):
    prepared = plan(
        folder,
        "name: same\ncontents: {video: clip.mp4}\n"
        "method: {name: feedforward, model: paint.safetensors, size: original}\noutput: {video: ffv1}\n",
    )
    run(prepared)
    kept = sorted(rows(prepared, "frames"), key=lambda row: row["frame"])
    expected = [np.asarray(Image.open(row["picture_uri"].removeprefix("file://"))) for row in kept]
    made = frames_of(stylized(folder, "paint", "made.mkv"))
    assert len(made) == len(expected) == 6
    np.testing.assert_array_equal(made, expected)  # FFV1 is lossless


def test_times_and_sound_are_those_of_the_source(folder):
    data, source = stylized(folder, "paint", "made.mp4"), (folder / "clip.mp4").read_bytes()
    assert clip_files.stated_times(data) == clip_files.stated_times(source)
    assert clip_files.sound_packets(data) == clip_files.sound_packets(source)


def test_a_network_that_enlarges_enlarges_every_frame(folder):
    (first, *others) = frames_of(stylized(folder, "double", "made.mkv"))
    height, width = frames_of((folder / "clip.mp4").read_bytes())[0].shape[:2]
    assert first.shape == (2 * height, 2 * width, 3)
    assert len(others) == 5


def test_the_command_tells_clips_from_stills(folder):
    said = CliRunner().invoke(app, ["stylize", "clip.mp4", "--model", f"{folder}/paint.safetensors", "-o", "made.mp4"])
    assert said.exit_code == 0, said.output
    assert "made.mp4" in said.output
    assert "6 frames, " in said.output
    images = [Image.fromarray(clip_files.picture(number)) for number in range(3)]
    images[0].save("one.gif")
    images[0].save("moving.gif", save_all=True, append_images=images[1:])
    assert [is_clip(name) for name in ("one.gif", "moving.gif", "clip.mp4", "photo.jpg")] == [False, True, True, False]


def test_an_ending_that_is_no_clips_is_refused(folder):
    still = ["stylize", "photo.jpg", "--model", f"{folder}/paint.safetensors", "-o", "made.mp4"]
    with pytest.raises(UserError, match=r"made\.mp4 has no known ending of a picture, and photo\.jpg is no clip"):
        CliRunner().invoke(app, still, catch_exceptions=False)
    with pytest.raises(UserError, match=r"made\.png has no known ending of a clip"):
        stylized(folder, "paint", "made.png")
