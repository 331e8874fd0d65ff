"""Brings a picture of another frame to this frame along a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def warp(picture_HWC: np.ndarray, flow_HW2: np.ndarray) -> np.ndarray:
    """Return a picture of another frame brought to this frame, float32 of shape (H, W, C).

    Each pixel takes the value at the place where the flow finds it in the other picture, bilinear, in float32. Places
    beyond the borders take the value of the nearest border.

    Args:
        picture_HWC: The picture of the other frame, float32.
        flow_HW2: The flow from this frame to the other.
    """
    warped_HWC: np.ndarray = cv2.merge(sampled(cv2.split(picture_HWC), *places(flow_HW2)))
    return warped_HWC.reshape(picture_HWC.shape)  # OpenCV drops the axis of a single channel


def places(flow_HW2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the flow finds each pixel in the other frame: x and y, float32 of shape (H, W) each."""
    height, width = flow_HW2.shape[:2]
    x_W, y_H1 = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return flow_HW2[..., 0] + x_W, flow_HW2[..., 1] + y_H1


def sampled(planes: Sequence[np.ndarray], x_HW: np.ndarray, y_HW: np.ndarray) -> list[np.ndarray]:
    """Return the bilinear values of planes, float32 of shape (H, W) each, at the given places, as `warp` does."""
    # One plane at a time: of two channels together OpenCV 5 rounds the places to 1/32 pixel, and of three it is slower.
    return [cv2.remap(plane, x_HW, y_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in planes]


def inside(x_HW: np.ndarray, y_HW: np.ndarray) -> np.ndarray:
    """Return which places lie inside the picture, bool of shape (H, W): up to the centres of the border's pixels."""
    height, width = x_HW.shape
    inside_HW: np.ndarray = (x_HW >= 0) & (x_HW <= width - 1) & (y_HW >= 0) & (y_HW <= height - 1)
    return inside_HW
