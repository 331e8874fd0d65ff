"""A frame is held to the one before it only where the content looks the same, however sure the motion is."""

from __future__ import annotations

import numpy as np
import pytest
from cells import blocks
from sweeps import plan, run, write

pytest.importorskip("cv2", reason="needs the extra `video`")
pytest.importorskip("av", reason="needs the extra `video`")

from tasks.work import clip_frames

HEIGHT, WIDTH = 48, 64
SQUARE = (slice(16, 32), slice(24, 40))
MANIFEST = """\
name: square
contents: {video: clip/}
styles: waves.png
method:
  {name: gatys, size: 64, steps: 3, content_layers: relu1_1, style_layers: relu1_1, backbone: {weights: random}}
"""


def test_what_looks_different_is_not_held_though_the_motion_is_trusted(tmp_path, monkeypatch):
    """A white square comes out of nowhere, where the motion that is found is none, both ways."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "clip").mkdir()
    write(tmp_path / "waves.png", blocks(3, 36, 36))
    for number in range(2):
        frame = blocks(1, HEIGHT, WIDTH)
        frame[SQUARE] = 255 * number
        write(tmp_path / f"clip/{number}.png", frame)
    trusted = np.zeros((HEIGHT, WIDTH, 2), np.float32), np.ones((HEIGHT, WIDTH), np.float32)
    monkeypatch.setattr(clip_frames.ClipSource, "motion", lambda *_: trusted)
    seen, real = [], clip_frames.stylize_in_memory

    def watch(requests, *rest):
        seen.append(requests[0])
        return real(requests, *rest)

    monkeypatch.setattr(clip_frames, "stylize_in_memory", watch)
    run(plan(tmp_path, MANIFEST))
    (before,) = seen[1].before
    expected = np.ones((HEIGHT, WIDTH), np.float32)
    expected[SQUARE] = 0
    np.testing.assert_allclose(before.weights, expected, atol=1e-6)
    assert before.picture[SQUARE].mean() < 0.5  # what was painted of the black square
    assert seen[1].start.array[SQUARE].mean() > 128  # the content, in the colours of the rest
