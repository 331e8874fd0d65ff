"""Parts of a clip that stand still, in front of a camera that stands still: there is no motion to be found there."""

from __future__ import annotations

from typing import Final

import numpy as np

from nst.motion.measures import STILL_LEVELS, STILL_PIXELS

CAMERA_PIXELS: Final = 0.1
"""Median displacement in pixels up to which the camera is taken to stand still. In a slow pan flat parts look still and
are not: what is painted there has to move along."""


def at_rest(flow_HW2: np.ndarray, here_HW3: np.ndarray, there_HW3: np.ndarray) -> np.ndarray:
    """Return a flow that is zero where the clip stands still, float32 of shape (H, W, 2).

    Flow that is found in still parts is noise of a fraction of a pixel. A frame that is warped along it again and again
    drifts and loses its sharpness.

    Args:
        flow_HW2: The flow from this frame to the other.
        here_HW3: This frame, uint8 RGB.
        there_HW3: The other frame.

    Source:
        Our own. The darkening and drift of static backgrounds is a known complaint (manuelruder/artistic-videos#59).
    """
    squared_HW = flow_HW2[..., 0] ** 2 + flow_HW2[..., 1] ** 2
    if float(np.median(squared_HW)) > CAMERA_PIXELS**2:
        return flow_HW2
    alike_HW = np.abs(here_HW3.astype(np.int16) - there_HW3).max(2) <= STILL_LEVELS
    rested_HW2: np.ndarray = np.where((alike_HW & (squared_HW < STILL_PIXELS**2))[..., None], np.float32(0), flow_HW2)
    return rested_HW2
