"""How photographs lose the detail that a network of super-resolution learns to give back. Knows no network.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch.nn import functional

from nst.ops import resize, to_bytes

if TYPE_CHECKING:
    from torch import Tensor

SIGMA: Final = 1.0
"""Standard deviation in pixels of the window that blurs photographs (1.0 in the paper)."""

_RADIUS: Final = 4
"""Number of pixels on each side of the window's middle: four deviations, as in scipy's `gaussian_filter`."""


def degrade(pictures_B3HW: Tensor, factor: int) -> Tensor:
    """Return pictures blurred and shrunk, multiples of 1/255 in [0, 1], shape (B, 3, H / factor, W / factor).

    Args:
        pictures_B3HW: RGB in [0, 1], at least 5 pixels on both sides, which are multiples of `factor`.
        factor: Height of a picture divided by that of the result.

    Source:
        Johnson, Alahi & Fei-Fei 2016, section 4.2: a Gaussian window with sigma 1, then bicubic interpolation. The
        latter is antialiased, as in Pillow and MATLAB. The values are rounded to 8 bits, as a file holds them.
    """
    height, width = pictures_B3HW.shape[2] // factor, pictures_B3HW.shape[3] // factor
    return to_bytes(resize(blur(pictures_B3HW), height, width)).to(pictures_B3HW.dtype).div(255.0)


def blur(pictures_B3HW: Tensor) -> Tensor:
    """Return pictures blurred by a sampled Gaussian window; beyond their borders they are continued by reflection."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, dtype=pictures_B3HW.dtype, device=pictures_B3HW.device)
    window = torch.exp(-0.5 * (offsets / SIGMA).square())
    window = (window / window.sum()).expand(3, 1, 1, -1)
    x_B3HW = functional.pad(pictures_B3HW, (_RADIUS,) * 4, mode="reflect")
    x_B3HW = functional.conv2d(x_B3HW, window, groups=3)
    return functional.conv2d(x_B3HW, window.transpose(2, 3), groups=3)
