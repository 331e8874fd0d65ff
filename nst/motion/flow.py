"""Optical flow: for each pixel of a frame the displacement to where the same point is seen in another frame."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, get_args

import cv2
import numpy as np

from nst.config.flow import DEFAULT_FLOW, DisPreset, FlowPreset

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

Estimator = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Takes two frames, HW3 uint8 RGB, and returns the flow from the first to the second, float32 of shape (H, W, 2)."""

_LEAST_SIDE: Final = 96
"""Shortest side in pixels that OpenCV's dense inverse search is given.

Of sides below 32 pixels, and of a longer side below 91, OpenCV chooses scales by the width alone: then it reads beyond
its buffers, crashes the process (64 x 8 or 200 x 16 pixels, OpenCV 5.0.0), returns NaN, or refuses the frame.
"""

_OPENCV: Final[dict[DisPreset, int]] = {
    "dis_ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "dis_fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "dis_medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def estimator(preset: FlowPreset, weights: Mapping[str, torch.Tensor] | None = None, device: str = "cpu") -> Estimator:
    """Return what finds the flow between two frames by the given preset.

    Args:
        preset: How flow is found.
        weights: The tensors of the network, by torchvision's names; for the presets of RAFT alone.
        device: Where the network computes.
    """
    if preset == "raft_small" or preset == "raft_large":  # noqa: PLR1714 - narrows the type
        if weights is None:
            raise ValueError(f"{preset} needs weights")
        from nst.motion.raft import RaftFlow

        return RaftFlow(preset, weights, device)
    return partial(optical_flow, preset=preset)


def optical_flow(first_HW3: np.ndarray, second_HW3: np.ndarray, preset: DisPreset = DEFAULT_FLOW) -> np.ndarray:
    """Return the flow from the first frame to the second, float32 of shape (H, W, 2), by dense inverse search.

    The same frames have the same flow, whatever the number of threads. Equal frames have no flow at all. Frames with a
    side below 96 pixels are continued to 96 by their last row and column.

    Args:
        first_HW3: A frame, uint8 RGB of any size.
        second_HW3: Another frame of the same size.
        preset: One of OpenCV's presets.

    Source:
        Kroeger, Timofte, Dai & Van Gool 2016, "Fast optical flow using dense inverse search", in OpenCV's
        implementation, on grey pictures.
    """
    height, width = first_HW3.shape[:2]
    first_HW, second_HW = (_grey(frame) for frame in (first_HW3, second_HW3))
    flow_HW2: np.ndarray = cv2.DISOpticalFlow.create(_OPENCV[preset]).calc(first_HW, second_HW, None)
    return np.ascontiguousarray(flow_HW2[:height, :width])


def _grey(frame_HW3: np.ndarray) -> np.ndarray:
    """Return the grey picture of a frame, continued to the least size."""
    grey_HW: np.ndarray = cv2.cvtColor(frame_HW3, cv2.COLOR_RGB2GRAY)
    below, right = (max(0, _LEAST_SIDE - side) for side in grey_HW.shape)
    return cv2.copyMakeBorder(grey_HW, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else grey_HW


assert set(_OPENCV) == set(get_args(DisPreset))
