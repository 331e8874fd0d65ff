"""Transfer of colours: luminance, lightness, mean and covariance, or histograms of one picture given to another.

Knows no backbone. Shape letters: B images, H rows, W columns; pictures are RGB in [0, 1] unless they are called uint8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from nst.pictures.oklab import take_lightness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

_LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of R, G and B in the luminance (ITU-R BT.601)."""


def take_luminance(stylized_B3HW: Tensor, content_13HW: Tensor) -> Tensor:
    """Return the content with the luminance of the stylized images, clamped to [0, 1].

    Args:
        stylized_B3HW: Stylized images.
        content_13HW: The content image, or one for each stylized image.

    Source:
        Gatys et al. 2016, "Preserving color in neural artistic style transfer", section 3.2, in the form of
        jcjohnson/neural-style@07c4b82 original_colors: Y of the result, U and V of the content.
    """
    luma_131 = torch.tensor(_LUMA, dtype=stylized_B3HW.dtype, device=stylized_B3HW.device).view(1, 3, 1, 1)
    change_B1HW = ((stylized_B3HW - content_13HW) * luma_131).sum(1, keepdim=True)
    # Equal U and V mean that R, G and B change by as much as Y does.
    return (content_13HW + change_B1HW).clamp(0.0, 1.0)


def match_colors(style: np.ndarray, content: np.ndarray) -> np.ndarray:
    """Return the style image with the mean and covariance of the content's colours, HWC uint8, clipped to 0..255.

    Args:
        style: HWC uint8.
        content: HWC uint8, of any size.

    Source:
        Gatys et al. 2016, "Preserving color in neural artistic style transfer", section 3.1, the symmetric root
        ("Image Analogies" variant).
    """
    pixels = style.reshape(-1, 3).astype(np.float64) / 255.0
    target = content.reshape(-1, 3).astype(np.float64) / 255.0
    rounded: np.ndarray = np.rint(_matched(pixels, target) * 255.0).astype(np.uint8)
    return rounded.reshape(style.shape)


def take_colors(stylized_B3HW: Tensor, content_13HW: Tensor) -> Tensor:
    """Return the stylized pictures with the mean and covariance of the content's colours, clamped to [0, 1].

    Where values are clamped, mean and covariance are not quite the content's.

    Args:
        stylized_B3HW: Stylized images.
        content_13HW: The content image, or one for each stylized image.

    Source:
        As `match_colors`, which does the same to the style image beforehand.

    Example:
        >>> content = torch.linspace(0.3, 0.7, 75).view(1, 3, 5, 5)
        >>> take_colors(torch.rand(1, 3, 8, 8), content).mean((2, 3))
        tensor([[0.3649, 0.5000, 0.6351]])
    """
    size = stylized_B3HW.shape[2:]
    results = []
    for picture_3HW, content_3HW in zip(
        stylized_B3HW, content_13HW.expand(len(stylized_B3HW), -1, -1, -1), strict=True
    ):
        pixels, target = (image.flatten(1).T.detach().cpu().double().numpy() for image in (picture_3HW, content_3HW))
        results.append(torch.from_numpy(_matched(pixels, target).T.reshape(3, *size)))
    return torch.stack(results).to(stylized_B3HW)


def match_histograms(picture_3HW: Tensor, examples: Sequence[np.ndarray], weights: Sequence[float]) -> Tensor:
    """Return the picture with the histogram of the examples in every channel; the order of its values stays the same.

    Args:
        picture_3HW: Picture in any range.
        examples: HWC uint8 pictures of any sizes.
        weights: Weight of each example in the histogram, of any positive sum.

    Returns:
        Multiples of 1/255, on the device and in the type of the picture: exactly the values of a single example that
        has as many pixels.

    Source:
        leongatys/DeepTextures Misc.py. Differs: exact histogram specification by ranks instead of interpolation
        between levels.
    """
    rows = picture_3HW.flatten(1).detach().cpu().double().numpy()
    total = sum(weights)
    matched = np.empty_like(rows)
    middles = (np.arange(rows.shape[1]) + 0.5) / rows.shape[1]
    for channel, row in enumerate(rows):
        shares = np.zeros(256)
        for example, weight in zip(examples, weights, strict=True):
            counts = np.bincount(example[..., channel].ravel(), minlength=256)
            shares += weight / total * counts / counts.sum()
        levels = np.searchsorted(np.cumsum(shares), middles).clip(0, 255)
        matched[channel, np.argsort(row, kind="stable")] = levels / 255.0
    return torch.from_numpy(matched).view(picture_3HW.shape).to(picture_3HW)


def match_levels(picture: np.ndarray, example: np.ndarray) -> np.ndarray:
    """Return the picture with nearly the histogram of an example in every channel, HWC uint8: equal values stay equal.

    Args:
        picture: HWC uint8.
        example: HWC uint8, of any size.

    Source:
        The classical matching of cumulative histograms (Gonzalez & Woods, "Digital image processing"), interpolated
        between the example's levels as in scikit-image's `match_histograms`. Differs: rounded to whole levels.
    """
    matched = np.empty_like(picture)
    for channel in range(3):
        values, levels = picture[..., channel], np.unique(example[..., channel])
        ours, theirs = (np.bincount(x.ravel(), minlength=256) for x in (values, example[..., channel]))
        shares, wanted = np.cumsum(ours) / ours.sum(), np.cumsum(theirs[levels]) / theirs.sum()
        matched[..., channel] = np.rint(np.interp(shares, wanted, levels)).astype(np.uint8)[values]
    return matched


def _root(matrix: np.ndarray, power: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    root: np.ndarray = (vectors * values**power) @ vectors.T
    return root


def _matched(pixels_N3: np.ndarray, target_M3: np.ndarray) -> np.ndarray:
    """Return pixels with the mean and covariance of a target's pixels, clipped to 0..1; all float64 in 0..1."""
    ridge = 1e-7 * np.eye(3)  # far below the variance of rounding to 8 bits
    matrix = _root(np.cov(target_M3.T, bias=True) + ridge, 0.5) @ _root(np.cov(pixels_N3.T, bias=True) + ridge, -0.5)
    matched: np.ndarray = (pixels_N3 - pixels_N3.mean(0)) @ matrix.T + target_M3.mean(0)
    return matched.clip(0.0, 1.0)


FINISHES: Final[dict[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "luminance": take_luminance,
    "oklab": take_lightness,
    "histogram_after": take_colors,
}
"""What the values of `color` do to finished pictures, given the content at their size; other values do nothing."""

WHOLE: Final = frozenset({"histogram_after"})
"""The values of `color` that look at the whole picture; all others change every pixel by itself."""
