"""How near an enlarged picture is to the photograph that was shrunk, by the numbers of the literature: numpy alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from nst.pictures.metrics import psnr, ssim

if TYPE_CHECKING:
    from collections.abc import Mapping

FIDELITY: Final[Mapping[str, str]] = {
    "psnr_y": "Peak signal-to-noise ratio of the luminance Y to the photograph before it was shrunk, in dB, of a "
    "`super_resolution` network; higher = closer, at most 100.",
    "ssim_y": "Structural similarity (Wang 2004) of the luminance Y to the photograph before it was shrunk, of a "
    "`super_resolution` network; -1..1, 1 = identical.",
    "psnr_y_bicubic": "`psnr_y` of bicubic interpolation in place of the network, of the same photographs.",
    "ssim_y_bicubic": "`ssim_y` of bicubic interpolation in place of the network, of the same photographs.",
}
"""Descriptions of the measures of super-resolution by the names of their columns."""


def fidelity(made: np.ndarray, bicubic: np.ndarray, photograph: np.ndarray) -> dict[str, float]:
    """Return the `FIDELITY` of an enlarged picture.

    Borders are not left out; much of the literature leaves out as many pixels as the factor of the enlargement.

    Args:
        made: The picture that the network made, HWC uint8 RGB.
        bicubic: The picture that bicubic interpolation made, likewise, of the same size.
        photograph: The photograph before it was shrunk, likewise.

    Source:
        Johnson, Alahi & Fei-Fei 2016, section 4.2: PSNR and SSIM on the Y channel alone, after conversion to YCbCr.
    """
    ours, theirs, wanted = (luminance_y(array) for array in (made, bicubic, photograph))
    return {
        "psnr_y": psnr(ours, wanted),
        "ssim_y": ssim(ours, wanted),
        "psnr_y_bicubic": psnr(theirs, wanted),
        "ssim_y_bicubic": ssim(theirs, wanted),
    }


def luminance_y(array: np.ndarray) -> np.ndarray:
    """Return Y of YCbCr of HWC uint8 RGB, float32 in 16..235, shape (H, W).

    Source:
        ITU-R BT.601 in studio range, as MATLAB's `rgb2ycbcr`, by which the literature of super-resolution measures. In
        full range (`nst.pictures.metrics.luminance`) PSNR is 1.3 dB lower. Differs: Y is not rounded.
    """
    weights = np.array([65.481, 128.553, 24.966], np.float32) / np.float32(255)
    luminance_HW: np.ndarray = array @ weights + np.float32(16)
    return luminance_HW
