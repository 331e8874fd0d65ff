"""What a frame starts from where the frame before shows nothing: an affine map of colours, against its closed form."""

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra `video`")

from nst.motion.fill import in_the_colors_of


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
