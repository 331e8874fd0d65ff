"""Clips that lie in a bucket, below a root in a bucket: read, resumed and written as those of a folder."""

from __future__ import annotations

import numpy as np
import pytest
from cells import blocks
from clip_files import clip, sound_packets, stated_times
from orders import planned
from sweeps import run, write

from tasks.store import open_store

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

MANIFEST = """\
name: bucket
contents: [{video: BASE/two.mp4}, {video: BASE/stills/}]
styles: BASE/waves.png
method:
  {name: gatys, size: 64, steps: 2, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
"""


def test_clips_of_a_bucket_are_stylized_below_a_bucket(s3, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    base, source = s3.bucket(), clip(times=range(4), sound=2)
    inputs = open_store(base)
    inputs.put("two.mp4", source)
    pictures = {f"stills/{number}.png": np.full((48, 64, 3), 20 * number, np.uint8) for number in (9, 10, 11)}
    for name, array in [("waves.png", blocks(3, 36, 36)), *pictures.items()]:
        write(tmp_path / "picture.png", array)
        inputs.put(name, (tmp_path / "picture.png").read_bytes())
    (tmp_path / "m.yaml").write_text(MANIFEST.replace("BASE", base))
    root = s3.root()
    prepared = planned(tmp_path / "m.yaml", root)
    made = {row["content_name"]: row for row in run(prepared)}
    assert {name: row["clip_frames"] for name, row in made.items()} == {"two": 4, "stills": 3}
    two = open_store(root).get(made["two"]["picture_uri"].removeprefix(f"{root}/"))
    assert stated_times(two) == stated_times(source)
    assert sound_packets(two) == sound_packets(source)
    assert list(planned(tmp_path / "m.yaml", root).plan.batches()) == []  # all is done
    stills = prepared.plan.cells.contents[1].clip.stills
    assert [still.uri for still in stills] == [f"{base}/{name}" for name in pictures]
