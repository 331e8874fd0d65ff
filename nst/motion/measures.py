"""How coherent a clip is in time, by the numbers of the literature. None of them needs weights."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np

from nst.motion.warp import warp

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDS: Final = 2
"""Frames at each end of a clip that tOF leaves out."""

_CROP: Final = 32
_MARGIN: Final = 16
"""tOF looks at a window whose sides are multiples of 32, and at least 16 pixels shorter than the picture's."""

STILL_PIXELS: Final = 0.5
"""Most pixels that a point of a still part moves from one frame to the next."""

STILL_LEVELS: Final = 3
"""Most levels of 8 bits by which a still part of the source may differ from itself: the noise of a video codec."""


def warping_error(first_HW3: np.ndarray, second_HW3: np.ndarray, flow_HW2: np.ndarray, weights_HW: np.ndarray) -> float:
    """Return the warping error E_warp of two frames: the mean squared difference along the motion, of RGB in [0, 1].

    The mean is over the channels of visible pixels. If nothing is visible, it is zero. The error of a clip is the mean
    over its pairs of frames.

    Args:
        first_HW3: A picture, uint8 RGB.
        second_HW3: The picture of another frame.
        flow_HW2: The flow from the first frame to the second, of the source clip.
        weights_HW: Where the flow is to be trusted.

    Source:
        Lai et al. 2018, "Learning blind video temporal consistency", eq. 10 and 11, as in
        phoenix104104/fast_blind_video_consistency@8154b60 evaluate_WarpError.py. Differs: fractional weights weight the
        squared difference, where the paper's are 0 or 1; flow and weights are nst's (theirs are FlowNet 2 and unblurred
        masks); frames are not read back from JPEG.
    """
    scale = np.float32(1 / 255)
    gap_HW3 = (warp(second_HW3.astype(np.float32), flow_HW2) - first_HW3) * scale
    visible = 3 * float(weights_HW.sum(dtype=np.float64)) or float(gap_HW3.size)
    return float((np.square(gap_HW3).sum(2) * weights_HW).sum(dtype=np.float64) / visible)


def tof(pictures: Iterable[np.ndarray], source: Iterable[np.ndarray]) -> float:
    """Return tOF: how far the motion in a stylized clip is from that of its source, in pixels; NaN of a single frame.

    Args:
        pictures: The stylized frames in order, HW3 uint8 RGB.
        source: The frames of the source clip, as many and of the same size. It is the reference here; where tOF comes
            from, in super-resolution, that is the clip before it was shrunk.

    Source:
        Chu et al. 2020 (TecoGAN), as in thunil/TecoGAN@069d983 metrics.py: Farneback's flow on grey frames without the
        first and last two, cropped to multiples of 32. Differs: clips of fewer than six frames count whole, as do sides
        below 48 pixels.
    """
    gaps = []
    for (first, source_first), (second, source_second) in pairwise(zip(pictures, source, strict=True)):
        apart_HW2 = _cropped(_farneback(first, second)) - _cropped(_farneback(source_first, source_second))
        gaps.append(float(np.sqrt(np.square(apart_HW2).sum(2)).mean(dtype=np.float64)))
    kept = gaps[_ENDS:-_ENDS] or gaps
    return sum(kept) / len(kept) if kept else float("nan")


def drift(pictures: Iterable[np.ndarray], source: Iterable[np.ndarray], flows: Iterable[np.ndarray]) -> float:
    """Return how far still parts of a stylized clip drift, the mean absolute change of RGB in [0, 1].

    A pixel stands still from a frame on for as long as the source's flow there is below half a pixel and the source's
    colour within 3/255 of that frame's. In every frame in which a pixel stands still its colour is compared with the
    one it had when it came to rest, so that a slow drift adds up. NaN if nothing ever stands still.

    Args:
        pictures: The stylized frames in order, HW3 uint8 RGB.
        source: The frames of the source clip, as many and of the same size.
        flows: The source's flow from each frame but the first to the frame before it.
    """
    total, count = 0.0, 0
    frames = zip(pictures, source, strict=True)
    if (start := next(frames, None)) is None:
        return float("nan")
    rest_HW3, source_rest_HW3 = (picture.astype(np.int16) for picture in start)
    for (picture_HW3, source_HW3), flow_HW2 in zip(frames, flows, strict=True):
        still_HW = np.square(flow_HW2).sum(2) < STILL_PIXELS**2
        still_HW &= np.abs(source_HW3 - source_rest_HW3).max(2) <= STILL_LEVELS
        total += float(np.abs(picture_HW3 - rest_HW3)[still_HW].sum(dtype=np.int64))
        count += 3 * int(still_HW.sum())
        rest_HW3[~still_HW], source_rest_HW3[~still_HW] = picture_HW3[~still_HW], source_HW3[~still_HW]
    return total / (255 * count) if count else float("nan")


def _farneback(first_HW3: np.ndarray, second_HW3: np.ndarray) -> np.ndarray:
    first_HW, second_HW = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first_HW3, second_HW3))
    # Scale of the pyramid, its levels, window, iterations, neighbourhood of the polynomials, their deviation, flags.
    flow_HW2: np.ndarray = cv2.calcOpticalFlowFarneback(first_HW, second_HW, None, 0.5, 3, 15, 3, 5, 1.2, 0)
    return flow_HW2


def _cropped(flow_HW2: np.ndarray) -> np.ndarray:
    """Return the middle of a flow, whose sides are multiples of 32."""
    height, width = flow_HW2.shape[:2]
    rows, columns = ((side - _MARGIN) // _CROP * _CROP if side >= _MARGIN + _CROP else side for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    return flow_HW2[top : top + rows, left : left + columns]
