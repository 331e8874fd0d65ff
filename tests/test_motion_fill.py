"""What a frame starts from where the frame before shows nothing: an affine map of colours, against its closed form."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra `video`")

from nst.motion.fill import in_the_colors_of, laid_over


def test_an_affine_map_of_colours_is_found_from_the_certain_positions_alone():
    random = np.random.default_rng(0)
    content = random.integers(0, 256, (24, 32, 3), np.uint8)
    matrix = np.array([[0.5, 0.1, 0.0], [0.0, 0.4, 0.2], [0.1, 0.0, 0.6]])
    mapped = content / 255.0 @ matrix + [0.1, 0.05, 0.15]
    picture = mapped.astype(np.float32)
    picture[:, 16:] = random.random((24, 16, 3))  # nothing is known there
    weights = np.zeros((24, 32), np.float32)
    weights[:, :16] = 1
    np.testing.assert_allclose(in_the_colors_of(content, picture, weights), mapped, atol=0.03)


def test_where_nothing_is_certain_the_content_keeps_its_colours():
    content = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    found = in_the_colors_of(content, np.zeros((8, 8, 3), np.float32), np.zeros((8, 8), np.float32))
    np.testing.assert_allclose(found, content / 255.0, atol=1e-6)


def test_a_start_is_the_frame_before_as_far_as_it_is_certain():
    before, content = (np.full((6, 8, 3), level / 255, np.float32) for level in (200, 101))
    weights = np.zeros((6, 8), np.float32)
    weights[:, 4:], weights[:, 6:] = 0.25, 1.0
    start = laid_over(content, before, weights)
    assert start.dtype == np.uint8
    assert start[0, :, 0].tolist() == [101, 101, 101, 101, 126, 126, 200, 200]  # 101 + 99 / 4 = 125.75


def test_a_frame_that_stands_still_is_the_start_bit_for_bit():
    frames = [np.random.default_rng(seed).integers(0, 256, (30, 50, 3), np.uint8) for seed in (0, 1)]
    before, content = (frame / np.float32(255.0) for frame in frames)
    everywhere = np.ones((30, 50), np.float32)
    np.testing.assert_array_equal(laid_over(content, before, everywhere), frames[0])
    np.testing.assert_array_equal(laid_over(content, before, 0 * everywhere), frames[1])
