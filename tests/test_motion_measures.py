"""Measures of coherence in time, against closed forms and the published programs' formulas."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from moving_scene import Scene, texture

from nst.motion.measures import drift, tof, warping_error
from nst.motion.warp import warp


def flat(*levels, size=(12, 16)):
    return [np.full((*size, 3), level, np.uint8) for level in levels]


def still(frames, size=(12, 16)):
    return [np.zeros((*size, 2), np.float32)] * (frames - 1)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def moving(frames, across, size=(96, 112)):
    y, x = np.mgrid[: size[0], : size[1]].astype(float)
    return [np.rint(255 * texture(x - across * time, y, seed=4)).astype(np.uint8) for time in range(frames)]


# ---- warping error ------------------------------------------------------------------------------------------------
def test_the_warping_error_of_a_known_difference():
    first, second = flat(100, 151)  # 51 / 255 = 0.2
    (flow,), everywhere = still(2), np.ones((12, 16), np.float32)
    assert warping_error(first, second, flow, everywhere) == pytest.approx(0.04, abs=1e-7)
    second[..., 1:] = 100  # one channel of three
    assert warping_error(first, second, flow, everywhere) == pytest.approx(0.04 / 3, abs=1e-7)


def test_what_is_not_visible_does_not_count_and_nothing_visible_is_no_error():
    first, second = flat(100, 100)
    second[:, 8:] = 151
    weights = np.ones((12, 16), np.float32)
    weights[:, 12:] = 0
    assert warping_error(first, second, still(2)[0], weights) == pytest.approx(0.04 / 3, abs=1e-7)
    weights[:, 8:] = 0.25  # 8 columns of weight 1 without error, 8 of weight 0.25
    assert warping_error(first, second, still(2)[0], weights) == pytest.approx(0.04 * 2 / 10, abs=1e-7)
    assert warping_error(first, second, still(2)[0], 0 * weights) == 0


def test_the_warping_error_is_the_published_formula():
    random = np.random.default_rng(5)
    first, second, flow = (
        noise(20, 30, 3),
        noise(20, 30, 3, seed=1),
        random.normal(0, 2, (20, 30, 2)).astype(np.float32),
    )
    visible = random.random((20, 30)) < 0.7
    gap = (warp(second.astype(np.float32) / 255, flow) - first / 255.0) * visible[..., None]
    expected = np.sum(gap**2) / (3 * visible.sum())
    found = warping_error(first, second, flow, visible.astype(np.float32))
    assert found == pytest.approx(expected, rel=1e-5)


def test_a_scene_that_moves_with_its_flow_has_no_error_and_one_that_flickers_has_the_flicker():
    scene = Scene((2, 1), (-3, 2))
    previous, now = scene.frame(0), scene.frame(1)
    seen = (scene.stays(1, 0) & ~scene.occluded(1, 0)).astype(np.float32)
    assert warping_error(now, previous, scene.flow(1, 0), seen) == 0
    assert warping_error(now, previous, scene.flow(1, 0), np.ones_like(seen)) > 1e-4
    darker = (now // 2 + 20).astype(np.uint8), (previous // 2 + 30).astype(np.uint8)
    assert warping_error(*darker, scene.flow(1, 0), seen) == pytest.approx((10 / 255) ** 2, rel=1e-5)


# ---- tOF ----------------------------------------------------------------------------------------------------------
def test_a_clip_that_moves_as_its_source_has_tof_zero_and_a_frozen_one_the_source_s_speed():
    source = moving(7, 2)
    assert tof(source, source) == 0
    frozen = [source[0]] * 7
    assert tof(frozen, source) == pytest.approx(2, rel=0.1)
    assert tof(frozen[:3], source[:3]) == pytest.approx(2, rel=0.1)
    assert math.isnan(tof(source[:1], source[:1]))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        tof(source, source[:-1])


def test_tof_leaves_out_both_ends_and_the_rim_as_the_published_program_does():
    pictures, source = ([noise(70, 100, 3, seed=seed + i) for i in range(8)] for seed in (10, 30))
    gaps = []
    for i in range(3, 6):  # frames 2 to 5 are looked at, and each is compared with the one before it
        first, second = (
            cv2.calcOpticalFlowFarneback(
                *(cv2.cvtColor(clip[n], cv2.COLOR_RGB2GRAY) for n in (i - 1, i)), None, 0.5, 3, 15, 3, 5, 1.2, 0
            )
            for clip in (pictures, source)
        )
        # 70 rows: 64 leave fewer than 16, so 32 from 19 on; 100 columns: 96 likewise, so 64 from 18 on.
        gaps.append(np.linalg.norm(first - second, axis=2)[19:51, 18:82].mean())
    assert tof(pictures, source) == pytest.approx(np.mean(gaps), rel=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (3, 60), (47, 48)])
def test_small_clips_have_a_tof(size):
    pictures, source = ([noise(*size, 3, seed=seed + i) for i in range(3)] for seed in (10, 30))
    assert 0 <= tof(pictures, source) < 100


# ---- drift --------------------------------------------------------------------------------------------------------
def test_a_picture_that_darkens_by_one_level_a_frame_drifts_by_the_mean_of_what_has_added_up():
    source, pictures = flat(*[50] * 101), flat(*range(200, 99, -1))
    assert drift(pictures, source, still(101)) == pytest.approx(np.mean(np.arange(1, 101)) / 255)
    assert drift(source, source, still(101)) == 0


def test_what_moves_or_changes_in_the_source_does_not_count():
    pictures, source, flows = flat(10, 20, 30), flat(50, 50, 50), [flow.copy() for flow in still(3)]
    for flow in flows:
        flow[:6, :, 0] = 0.5  # the upper half moves
    for picture in pictures[1:]:
        picture[:6] = 255
    assert drift(pictures, source, flows) == pytest.approx(15 / 255)  # 10 and 20
    source[1][6:], source[2][6:] = 53, 47  # the noise of a codec
    assert drift(pictures, source, flows) == pytest.approx(15 / 255)
    source[1][6:] = 54
    assert math.isnan(drift(pictures, source, [flow + 1 for flow in flows]))


def test_a_pixel_that_comes_to_rest_again_starts_anew():
    # The source changes at frame 2, so that frame 3 is compared with frame 2.
    assert drift(flat(10, 12, 100, 107), flat(50, 50, 90, 90), still(4)) == pytest.approx((2 + 7) / 2 / 255)


def test_clips_without_a_second_frame_have_no_drift():
    assert math.isnan(drift([], [], []))
    assert math.isnan(drift(flat(1), flat(1), []))
