"""Where two frames look the same along the motion that was found between them."""

from __future__ import annotations

from typing import Final

import numpy as np

_SHARPNESS: Final = 50.0
"""How fast likeness falls with the squared difference of colours in [0, 1]: greys 20 levels of 255 apart have 0.4."""


def likeness(frame_HW3: np.ndarray, brought_HW3: np.ndarray) -> np.ndarray:
    """Return how alike two frames look at each position, float32 in [0, 1] of shape (H, W); exactly 1 where they agree.

    Flow that is found behind and around what moves fast may be consistent there and back, and wrong: then the place
    that it leads to looks different. Colours that differ by d, a vector in RGB of [0, 1], are exp(-50 |d|^2) alike.

    Args:
        frame_HW3: A frame of the source, uint8 RGB.
        brought_HW3: Another frame of the source, warped to it, float32 in [0, 255].

    Source:
        Lai et al. 2018, "Learning blind video temporal consistency", the visibility mask of their temporal losses
        (alpha = 50).
    """
    apart_HW3 = (brought_HW3 - frame_HW3) * np.float32(1 / 255)
    squared_HW = np.einsum("hwc,hwc->hw", apart_HW3, apart_HW3)
    alike_HW: np.ndarray = np.exp(np.float32(-_SHARPNESS) * squared_HW)
    return alike_HW
