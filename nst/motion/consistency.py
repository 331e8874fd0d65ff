"""Which pixels of a frame a flow can be trusted at: those that the other frame shows too, away from edges of motion."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from nst.motion.warp import inside, places, sampled

CUT_SHARE: Final = 0.3
"""Share of trusted pixels below which a new shot begins. In Big Buck Bunny it is 0.02 at a cut, 0.9 to 1 elsewhere."""

_SIGMA: Final = 0.8
_TAPS: Final = 5
"""Standard deviation in pixels and length of the window that blurs the weights."""


def consistency(flow_HW2: np.ndarray, back_HW2: np.ndarray) -> np.ndarray:
    """Return how much the flow is to be trusted at each pixel, float32 in [0, 1] of shape (H, W).

    A pixel w is occluded, that is not seen in the other frame, where following the flow there and back does not return
    to it: |f(w) + b(w + f(w))|^2 >= 0.01 (|f|^2 + |b|^2) + 0.5. It lies on an edge of motion where
    |grad f|^2 > 0.01 |f|^2 + 0.002. Occluded pixels count -1, edges and pixels whose flow leaves the picture 0, all
    others 1; a Gaussian window of 0.8 pixels blurs that, and what is negative becomes 0, so that the blur reaches
    outwards from what is occluded.

    Args:
        flow_HW2: The flow f from this frame to the other.
        back_HW2: The flow b from the other frame to this one.

    Source:
        Sundaram, Brox & Keutzer 2010, eq. 5 and 6, and Ruder, Dosovitskiy & Brox 2016, section 4.2, as in
        manuelruder/artistic-videos@40e7447 consistencyChecker/consistencyChecker.cpp. Differs: the weights are not
        rounded to 8 bits; and a flow that ends exactly at the centre of a pixel in the last row or column stays inside,
        so that a clip that stands still is trusted everywhere.
    """
    x_HW, y_HW = places(flow_HW2)
    across_HW, down_HW = cv2.split(flow_HW2)
    back_across_HW, back_down_HW = sampled(cv2.split(back_HW2), x_HW, y_HW)
    flow_HW = _squared(across_HW, down_HW)
    error_HW = _squared(across_HW + back_across_HW, down_HW + back_down_HW)
    occluded_HW = error_HW >= 0.01 * (flow_HW + _squared(back_across_HW, back_down_HW)) + 0.5
    edge_HW = _squared(*_gradient(across_HW), *_gradient(down_HW)) > 0.01 * flow_HW + 0.002
    inside_HW = inside(x_HW, y_HW)
    values_HW = np.subtract(inside_HW & ~(occluded_HW | edge_HW), inside_HW & occluded_HW, dtype=np.float32)
    blurred_HW: np.ndarray = cv2.GaussianBlur(values_HW, (_TAPS, _TAPS), _SIGMA, borderType=cv2.BORDER_REFLECT)
    return blurred_HW.clip(0, 1)


def cut(weights_HW: np.ndarray) -> bool:
    """Return whether a new shot begins between two frames, given the weights of the flow between them."""
    return float(weights_HW.mean()) < CUT_SHARE


def _squared(*components: np.ndarray) -> np.ndarray:
    """Return the squared length of vectors, given their components."""
    squared_HW: np.ndarray = components[0] * components[0]
    for component_HW in components[1:]:
        squared_HW += component_HW * component_HW
    return squared_HW


def _gradient(component_HW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the derivatives to the right and down, by central differences; the picture is mirrored at its borders."""
    across_HW = cv2.Sobel(component_HW, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REFLECT)
    down_HW = cv2.Sobel(component_HW, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REFLECT)
    return across_HW, down_HW
