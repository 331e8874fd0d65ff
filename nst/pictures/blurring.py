"""Gaussian blur of a picture, exact at every width of the window: numpy alone."""

from __future__ import annotations

import numpy as np


def gaussian_blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Return a picture blurred by a Gaussian window, float64 of the same shape and scale.

    Beyond its borders the picture is continued by its own mirror image. Therefore the mean of every channel stays what
    it is, and so do the cosines of the picture's own length: cos(pi k (x + 1/2) / n) comes back multiplied by
    exp(-(pi k sigma / n)^2 / 2), which is the transfer function of the window.

    Args:
        array: A picture, HWC, of any type.
        sigma: Standard deviation of the window in pixels, more than 0.

    Source:
        The transfer function of the continuous Gaussian, by the convolution theorem. Differs from sampled windows in
        that it is not truncated at a few deviations.
    """
    blurred = array.astype(np.float64)
    for _ in range(2):  # along the rows, and then along the columns
        length = len(blurred)
        mirrored = np.concatenate([blurred, blurred[::-1]])
        gain = np.exp(-2.0 * (np.pi * sigma * np.fft.rfftfreq(2 * length)) ** 2)
        spectrum = np.fft.rfft(mirrored, axis=0) * gain[:, None, None]
        blurred = np.fft.irfft(spectrum, 2 * length, axis=0)[:length].swapaxes(0, 1)
    return blurred
