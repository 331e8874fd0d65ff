"""The colour space OkLab (Ottosson 2020): conversions, and the lightness of one picture given to another.

Pictures have their three values in dimension 1. Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

_CONES: Final = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
"""Linear sRGB to the responses of three kinds of cones; each row adds up to 1."""

_OPPONENTS: Final = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
"""Cube roots of the responses to L, a and b."""

_SLACK: Final = 1e-9
"""How far, in linear light, a colour may lie outside of sRGB and still count as inside, for the sake of rounding."""

_HALVINGS: Final = 16
"""Halvings of the interval that holds the largest chroma inside of sRGB; 2^-16 of the chroma is no step of 8 bits."""


def to_linear(rgb_B3HW: Tensor) -> Tensor:
    """Return sRGB in [0, 1] as linear light in [0, 1].

    Source:
        IEC 61966-2-1.

    Example:
        >>> to_linear(torch.tensor([0.0, 0.5, 1.0])).round(decimals=4)
        tensor([0.0000, 0.2140, 1.0000])
    """
    return torch.where(rgb_B3HW <= 0.04045, rgb_B3HW / 12.92, ((rgb_B3HW.clamp_min(0.0) + 0.055) / 1.055) ** 2.4)


def from_linear(light_B3HW: Tensor) -> Tensor:
    """Return linear light in [0, 1] as sRGB in [0, 1]; light below 0 or above 1 is taken as 0 or 1.

    Source:
        IEC 61966-2-1.

    Example:
        >>> from_linear(torch.tensor([0.0, 0.2140, 2.0])).round(decimals=4)
        tensor([0.0000, 0.5000, 1.0000])
    """
    light_B3HW = light_B3HW.clamp(0.0, 1.0)
    return torch.where(light_B3HW <= 0.0031308, light_B3HW * 12.92, 1.055 * light_B3HW ** (1.0 / 2.4) - 0.055)


def to_oklab(light_B3HW: Tensor) -> Tensor:
    """Return linear sRGB as OkLab: L in 0..1, a and b in about -0.4..0.4. Negative light has negative roots.

    Source:
        Ottosson 2020, "A perceptual color space for image processing", with the matrices of 2021-01-25.

    Example:
        >>> to_oklab(torch.ones(1, 3, 1, 1).double()).flatten().abs().round(decimals=6).tolist()  # white
        [1.0, 0.0, 0.0]
    """
    cones_B3HW = _times(_matrices()[0], light_B3HW)
    return _times(_matrices()[1], cones_B3HW.sign() * cones_B3HW.abs() ** (1.0 / 3.0))


def from_oklab(lab_B3HW: Tensor) -> Tensor:
    """Return OkLab as linear sRGB, which lies outside of [0, 1] for colours that sRGB does not have.

    Example:
        >>> from_oklab(torch.tensor([0.5, 0.0, 0.0]).double().view(1, 3, 1, 1)).flatten().round(decimals=4).tolist()
        [0.125, 0.125, 0.125]
    """
    return _times(_matrices()[2], _times(_matrices()[3], lab_B3HW) ** 3)


def take_lightness(stylized_B3HW: Tensor, content_13HW: Tensor) -> Tensor:
    """Return the content's colours at the lightness of the stylized pictures, RGB in [0, 1].

    The result has the L of the stylized picture and the hue of the content. It has the chroma of the content as well,
    or where sRGB has no such colour, the largest chroma that sRGB has: clipping R, G and B instead would change L,
    which is all that is left of the style.

    Args:
        stylized_B3HW: Stylized pictures, RGB in [0, 1].
        content_13HW: The content image, RGB in [0, 1], or one for each stylized picture.

    Source:
        Ottosson 2020 for the space; "Preserving color in neural artistic style transfer" (Gatys et al. 2016b, section
        3.2) for the exchange, there in YIQ. The reduction of chroma is our own choice.

    Example:
        >>> grey = torch.full((1, 3, 1, 1), 0.25)
        >>> take_lightness(torch.full((1, 3, 1, 1), 0.75), grey).flatten().round(decimals=4)
        tensor([0.7500, 0.7500, 0.7500])
    """
    lightness_B1HW = to_oklab(to_linear(stylized_B3HW.double()))[:, :1]
    chroma_B2HW = to_oklab(to_linear(content_13HW.double()))[:, 1:].expand(len(stylized_B3HW), -1, -1, -1)

    def colored(share_B1HW: Tensor | float) -> Tensor:
        return from_oklab(torch.cat([lightness_B1HW, share_B1HW * chroma_B2HW], 1))

    inside_B1HW = torch.zeros_like(lightness_B1HW)
    outside_B1HW = torch.ones_like(lightness_B1HW)
    for _ in range(_HALVINGS):
        middle_B1HW = (inside_B1HW + outside_B1HW) / 2.0
        fits_B1HW = _fits(colored(middle_B1HW))
        inside_B1HW = torch.where(fits_B1HW, middle_B1HW, inside_B1HW)
        outside_B1HW = torch.where(fits_B1HW, outside_B1HW, middle_B1HW)
    whole_B3HW = colored(1.0)
    light_B3HW = torch.where(_fits(whole_B3HW), whole_B3HW, colored(inside_B1HW))
    return from_linear(light_B3HW).to(stylized_B3HW)


def _fits(light_B3HW: Tensor) -> Tensor:
    return ((light_B3HW >= -_SLACK) & (light_B3HW <= 1.0 + _SLACK)).all(1, keepdim=True)


def _times(matrix: np.ndarray, picture_B3HW: Tensor) -> Tensor:
    return torch.einsum("ij,bjhw->bihw", torch.from_numpy(matrix).to(picture_B3HW), picture_B3HW)


@cache
def _matrices() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return both matrices and their inverses, float64, (3, 3) each; inverses in digits would not lead back exactly."""
    cones, opponents = np.array(_CONES), np.array(_OPPONENTS)
    return cones, opponents, np.linalg.inv(cones), np.linalg.inv(opponents)
