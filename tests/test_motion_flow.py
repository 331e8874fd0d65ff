"""Optical flow: known shifts, sizes that OpenCV crashes on, equal bits on any number of threads, and the extra."""

from __future__ import annotations

import importlib
import sys
from typing import get_args

import cv2
import numpy as np
import pytest
from moving_scene import Scene, texture
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from nst.config.flow import DEFAULT_FLOW, DisPreset, Flow
from nst.errors import InputError
from nst.motion.flow import estimator, optical_flow

PRESETS = get_args(DisPreset)


def shifted(height, width, across, down):
    """Return two frames of a texture that moves by (across, down)."""
    y, x = np.mgrid[:height, :width].astype(float)
    return (np.rint(255 * texture(x - u, y - v, seed=3)).astype(np.uint8) for u, v in ((0, 0), (across, down)))


@pytest.fixture
def threads():
    before = cv2.getNumThreads()
    yield cv2.setNumThreads
    cv2.setNumThreads(before)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("across", "down"), [(3, -2), (0.5, 0.25), (-1.3, 4.6)])
def test_a_shift_is_found_in_pixels_right_and_down(across, down, preset):
    flow = optical_flow(*shifted(100, 140, across, down), preset)
    assert (flow.shape, flow.dtype) == ((100, 140, 2), np.float32)
    assert np.abs(np.median(flow[10:-10, 10:-10], (0, 1)) - (across, down)).max() < 0.15


def test_the_exact_flow_of_a_scene_is_found_to_a_tenth_of_a_pixel_within_square_and_background():
    scene = Scene((2, 1), (-3, 2))
    gap = np.linalg.norm(optical_flow(scene.frame(0), scene.frame(1), "dis_medium") - scene.flow(0, 1), axis=2)
    assert np.median(gap[60:120, 90:150]) < 0.1  # the square lies at 80..160, 50..130
    assert np.median(gap[5:40]) < 0.1


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (1, 300),
        (300, 1),
        (7, 7),
        (8, 16),
        (8, 64),
        (8, 200),
        (12, 200),
        (16, 400),
        (24, 200),
        (24, 900),
        (95, 31),
    ],
)
def test_frames_of_any_size_have_a_finite_flow(size, preset):
    # OpenCV alone refuses some of these, returns NaN for (16, 400), and crashes for (8, 64), (12, 200) and (24, 200).
    first, second = shifted(*size, 1, 0)
    flow = optical_flow(first, second, preset)
    assert flow.shape == (*size, 2)
    assert np.isfinite(flow).all()
    assert np.abs(flow).max() < 10
    assert np.all(optical_flow(first, first, preset) == 0)


def test_a_small_frame_has_the_flow_that_it_has():
    flow = optical_flow(*shifted(20, 28, 1, 0))
    assert np.abs(np.median(flow[4:-4, 4:-4], (0, 1)) - (1, 0)).max() < 0.2


@pytest.mark.parametrize("preset", PRESETS)
def test_the_flow_has_the_same_bits_on_any_number_of_threads(shared_data, threads, preset):
    first, second = (
        np.asarray(Image.open(shared_data / f"video/bunny_seq/{n:04d}.jpg").convert("RGB")) for n in (90, 92)
    )
    threads(1)
    alone = optical_flow(first, second, preset)
    assert np.abs(alone).max() > 0.5
    for count in (1, 2, 3, 8):
        threads(count)
        assert np.array_equal(optical_flow(first, second, preset), alone)


def test_the_name_of_a_preset_gives_what_finds_flow():
    first, second = shifted(96, 96, 2, 0)
    assert np.array_equal(estimator("dis_medium")(first, second), optical_flow(first, second, "dis_medium"))
    assert np.array_equal(estimator(DEFAULT_FLOW)(first, second), optical_flow(first, second))
    with pytest.raises(ValueError, match="raft_small needs weights"):
        estimator("raft_small")


def test_a_manifest_may_name_five_presets():
    setting = TypeAdapter(Flow)
    for name in (*PRESETS, "raft_small", "raft_large"):
        assert setting.validate_python(name) == name
    with pytest.raises(ValidationError):
        setting.validate_python("farneback")


def test_without_the_extra_one_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name == "nst.motion" or name.startswith("nst.motion.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(InputError, match="clips need the extra 'video'") as raised:
        importlib.import_module("nst.motion.flow")
    assert raised.value.hint == "pip install 'nst-batch[video]'"
