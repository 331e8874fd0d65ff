"""The start of a frame: the frame before, and where that shows nothing of a place the content in its colours."""

from __future__ import annotations

from typing import Final

import numpy as np

_RIDGE: Final = 1e-3
"""Penalty of the map's difference from the identity, as a share of the pixels: it decides where few are certain."""


def in_the_colors_of(content_HW3: np.ndarray, picture_HW3: np.ndarray, weights_HW: np.ndarray) -> np.ndarray:
    """Return a content frame in the colours of a stylized picture, float32 in [0, 1] of shape (H, W, 3).

    The colours are mapped by the affine map that comes closest to the picture over the weighted positions, in least
    squares. So a place that comes into view does not stand out as a piece of the photograph.

    Args:
        content_HW3: The content frame, uint8 RGB.
        picture_HW3: The stylized frame before, warped to this frame, float32 in [0, 1].
        weights_HW: How certain it is that each position shows the same there.

    Source:
        Our own. Ruder, Dosovitskiy & Brox 2016 leave such places as the warping makes them, and their code fills them
        with the mean colour.
    """
    rgb_N3 = content_HW3.reshape(-1, 3) / np.float32(255.0)
    ones_N1 = np.ones((len(rgb_N3), 1), np.float32)
    rgb1_N4 = np.concatenate([rgb_N3, ones_N1], axis=1)
    weighted_N4 = rgb1_N4 * weights_HW.reshape(-1, 1)
    identity_43 = np.eye(4, 3)
    penalty = _RIDGE * len(rgb_N3) * np.eye(4)
    squares_44 = (weighted_N4.T @ rgb1_N4).astype(np.float64) + penalty
    products_43 = (weighted_N4.T @ picture_HW3.reshape(-1, 3)).astype(np.float64) + penalty @ identity_43
    map_43 = np.linalg.solve(squares_44, products_43).astype(np.float32)
    mapped: np.ndarray = (rgb1_N4 @ map_43).clip(0.0, 1.0).reshape(content_HW3.shape)
    return mapped


def laid_over(under_HW3: np.ndarray, over_HW3: np.ndarray, weights_HW: np.ndarray) -> np.ndarray:
    """Return `weights` of one picture and the rest of another, uint8 RGB of shape (H, W, 3).

    Args:
        under_HW3: The picture where the weights are 0, float32 in [0, 1].
        over_HW3: The picture where they are 1.
        weights_HW: Weights in [0, 1].

    Source:
        Ruder, Dosovitskiy & Brox 2016, section 4.1, for a start from the warped frame before.
    """
    share_HW1 = weights_HW[..., None]
    mixed_HW3 = share_HW1 * over_HW3 + (1.0 - share_HW1) * under_HW3
    rounded: np.ndarray = np.rint(mixed_HW3.clip(0.0, 1.0) * 255.0).astype(np.uint8)
    return rounded
