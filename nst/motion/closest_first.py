"""Weights of several earlier frames at once, in which the closest frame that shows a pixel counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def closest_first(weights: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the long-term weights of earlier frames, each float32 in [0, 1] of shape (H, W).

    From the weights c_j of each frame those of all closer frames are taken away: max(c_j - sum of c_k over closer k,
    0). So a frame far away speaks only where none that is closer shows the pixel.

    Args:
        weights: How far the flow to each earlier frame is to be trusted, the closest frame first.

    Source:
        Ruder, Dosovitskiy & Brox 2016, eq. 9.
    """
    found, closer = [], np.zeros(1, np.float32)
    for weights_HW in weights:
        found.append(np.maximum(weights_HW - closer, np.float32(0)))
        closer = closer + weights_HW
    return found
