"""Without the extra `video` every clip is refused before anything starts, where the manifest names it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sweeps import plan, write

from nst.errors import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """\
name: moving
styles: style.png
contents:
  - still.png
  - {video: %s}
method: %s
"""
METHODS = {
    "gatys": "{name: gatys, size: 64, backbone: {weights: random}}",
    "frame by frame": "{name: baseline, size: 64}",  # its shots and its row need motion all the same
}
CLIPS = ("stills/", "stills/*.png", "moving.gif", "moving.webp")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stills").mkdir()
    pictures = [np.full((48, 64, 3), 40 * number, np.uint8) for number in range(3)]
    for number, picture in enumerate(pictures):
        write(tmp_path / f"stills/{number}.png", picture)
    for name in ("style.png", "still.png"):
        write(tmp_path / name, pictures[0])
    frames = [Image.fromarray(picture) for picture in pictures]
    for name in ("moving.gif", "moving.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=40)
    return tmp_path


@pytest.mark.parametrize("module", ["cv2", "av"])
@pytest.mark.parametrize("method", METHODS)
def test_a_clip_is_refused_where_it_is_named(folder, module, method, monkeypatch):
    for name in [name for name in sys.modules if name == "nst.motion" or name.startswith("nst.motion.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    for clip in CLIPS:
        with pytest.raises(ManifestError) as raised:
            plan(folder, MANIFEST % (clip, METHODS[method]))
        (problem,) = str(raised.value).split("\n")[:1]
        assert ":5:5: error: clips need the extra 'video'" in problem
        assert module in problem
        assert "pip install 'nst-batch[video]'" in problem
        assert str(raised.value).count(" error: ") == 1
