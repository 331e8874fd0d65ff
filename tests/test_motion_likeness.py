"""How alike two frames look along the motion between them, against the published formula."""

from math import exp

import numpy as np
import pytest

pytest.importorskip("cv2", reason="needs the extra `video`")

from nst.motion.likeness import likeness


def test_frames_that_agree_are_wholly_alike():
    frame = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(likeness(frame, frame.astype(np.float32)), np.ones((5, 7), np.float32))


@pytest.mark.parametrize("apart", [(3, 3, 3), (-20, 0, 0), (0, 30, -40), (255, 255, 255)])
def test_likeness_is_the_visibility_of_lai_et_al(apart):
    frame = np.full((2, 2, 3), 128 if max(apart) < 255 else 0, np.uint8)
    brought = frame + np.array(apart, np.float32)
    squared = sum((each / 255) ** 2 for each in apart)
    assert likeness(frame, brought) == pytest.approx(np.full((2, 2), exp(-50 * squared)), rel=1e-4)
