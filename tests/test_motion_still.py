"""Parts that stand still have no motion; what moves, and what a moving camera shows, keeps its own."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra `video`")

from nst.motion.flow import optical_flow
from nst.motion.still import at_rest
from nst.motion.warp import warp

RANDOM = np.random.default_rng(0)


def textured(height, width):
    coarse = RANDOM.integers(60, 200, (height // 4, width // 4, 3), np.uint8)
    return coarse.repeat(4, 0).repeat(4, 1)


def noisy(frame):
    return np.clip(frame + RANDOM.integers(-1, 2, frame.shape), 0, 255).astype(np.uint8)


def test_a_still_clip_with_the_noise_of_a_codec_does_not_move():
    scene = textured(96, 128)
    first, second = noisy(scene), noisy(scene)
    assert np.abs(optical_flow(first, second)).max() > 0
    assert not at_rest(optical_flow(first, second), first, second).any()


def test_what_moves_in_front_of_it_keeps_its_motion():
    scene, square = textured(96, 128), textured(32, 32)
    frames = []
    for at in (40, 44):
        frame = scene.copy()
        frame[32:64, at : at + 32] = square
        frames.append(frame)
    found = at_rest(optical_flow(*frames, "dis_medium"), *frames)
    inside = found[38:58, 46:66]
    assert np.median(inside[..., 0]) == pytest.approx(4, abs=0.5)
    assert not found[:20].any()


def test_in_a_slow_pan_flat_parts_move_along():
    scene = textured(96, 160)
    scene[:, :60] = 128  # a flat part, in which nothing can be seen to move
    pan = np.full((96, 128, 2), [0.3, 0.0], np.float32)
    first = scene[:, :128]
    second = np.rint(warp(first.astype(np.float32), -pan)).astype(np.uint8)
    np.testing.assert_array_equal(at_rest(pan, first, second), pan)
