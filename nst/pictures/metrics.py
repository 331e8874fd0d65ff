"""Metrics of a finished picture that need no network: numpy alone.

They serve to compare the pictures of a sweep: is the content still there, are the colours those of the style, is it
noise? None of them judges art. The catalog also records the losses that the backbone measures.

What pictures are compared with in their content and their style is computed once for all pictures that have it
(`content_reference`, `style_reference`): to resize a large photograph takes longer than all metrics of a small picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from nst.pictures import colour_histogram, palette, texture
from nst.pictures.images import resize, resize_to

if TYPE_CHECKING:
    from collections.abc import Sequence

CONSTANT: Final = 1.0 / 255.0
"""A picture in [0, 1] is constant if its largest and smallest values differ by less than this."""

METRICS: Final[dict[str, str]] = {
    "ssim_content": "Structural similarity of the luminance to the content image (Wang 2004, shrunk to about 256 px "
    "on the short side); -1..1, 1 = identical, higher = more content kept.",
    "gmsd_content": "Gradient magnitude similarity deviation to the content image (Xue 2014); 0..about 0.5, 0 = same "
    "edges, lower = more content kept.",
    "psnr_content": "Peak signal-to-noise ratio to the content image, RGB, in dB; 0..100 (100 = identical), higher = "
    "closer.",
    "palette_distance_style": "Sliced Wasserstein-1 distance between the colours of the picture and of the styles "
    "(pooled by weight), in CIELAB units; 0..about 100, lower = the style's colours.",
    "histogram_distance_style": "Hellinger distance between the RGB-uv histograms of the picture and of the styles "
    "(pooled by weight; Afifi 2021); 0..1, lower = the style's colours.",
    "texture_distance_style": "Sliced Wasserstein-1 distance between small patches of the picture and of the styles "
    "(pooled by weight), both shrunk to about 256 px on the short side, over the bands of a Laplacian pyramid "
    "(Karras 2018); in grey levels from 0, lower = the style's strokes and grain. Null below 16 px.",
    "palette_distance_content": "Sliced Wasserstein-1 distance between the colours of the picture and of the content "
    "image, in CIELAB units; 0..about 100, lower = the content's colours.",
    "colorfulness": "Colourfulness (Hasler & Suesstrunk 2003); 0 = grey, 15 slightly, 45 averagely, 80 highly "
    "colourful.",
    "contrast": "Standard deviation of the luminance, divided by 255 (RMS contrast, Peli 1990); 0 = flat, at most 0.5.",
    "pixel_noise": "Standard deviation of pixel noise in the luminance, in grey levels 0..255 (Immerkaer 1996); lower "
    "= smoother. Fine texture counts as noise; above 30 it usually is.",
    "total_variation": "Mean absolute difference of neighbouring pixels, both directions added, channels averaged, "
    "divided by 255; 0 = flat, 0.05 to 0.1 = a photograph, at most 2.",
    "saturated_share": "Share of the channels' values that are exactly 0 or 255; 0..1, lower = less clipped.",
}
"""Descriptions of all metrics by the names of their columns, in the order in which `measure` returns them."""


@dataclass(frozen=True, eq=False)
class ContentReference:
    """What pictures of one size are compared with in their content image, computed once for all of them."""

    array: np.ndarray
    """The content image at the size of the pictures, HWC uint8 RGB."""
    grey: np.ndarray
    """Its luminance."""
    shrunk: np.ndarray
    """The same as `ssim` looks at it."""
    colours: np.ndarray
    """Its palette (`palette.project`)."""


def content_reference(content: np.ndarray, width: int, height: int) -> ContentReference:
    """Return the reference of a content image, HWC uint8 RGB of any size, for pictures of `width` x `height` pixels."""
    array = resize_to(content, width, height)
    grey = luminance(array)
    return ContentReference(array, grey, _shrink(grey), palette.project(palette.sample(array)))


@dataclass(frozen=True, eq=False)
class StyleReference:
    """What pictures of one size are compared with in their style, computed once for all of them."""

    colours: np.ndarray
    """The pooled palette of the style images (`palette.project`)."""
    histogram: np.ndarray
    """Their pooled histogram (`colour_histogram.histogram`)."""
    textures: tuple[np.ndarray, ...]
    """Their pooled textures (`texture.project`), with the long side of the pictures."""


def style_reference(
    styles: Sequence[np.ndarray], weights: Sequence[float] | None, width: int, height: int
) -> StyleReference:
    """Return what pictures of `width` x `height` pixels are compared with: all style images, by their weights.

    Args:
        styles: The style images, HWC uint8 RGB of any sizes; at least one.
        weights: Shares of the style images in the mix, adding up to 1; None for equal shares.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
    """
    shares = weights or [1.0 / len(styles)] * len(styles)
    long_side = max(width, height) // _factor(width, height)
    return StyleReference(
        palette.project(palette.pool([palette.sample(style) for style in styles], shares)),
        colour_histogram.pool([colour_histogram.histogram(style) for style in styles], shares),
        texture.pool([texture.project(resize(style, long_side)) for style in styles], shares),
    )


def measure(
    stylized: np.ndarray,
    content: np.ndarray | None,
    styles: Sequence[np.ndarray] = (),
    style_weights: Sequence[float] | None = None,
) -> dict[str, float]:
    """Return the `METRICS` of a picture by name, without those that need a content or style image if there is none.

    Args:
        stylized: The picture, HWC uint8 RGB.
        content: The content image, HWC uint8 RGB of any size; it is resized to the size of the picture.
        styles: The style images, HWC uint8 RGB of any sizes.
        style_weights: Shares of the style images in the mix, adding up to 1; None for equal shares.
    """
    height, width = stylized.shape[:2]
    reference = None if content is None else content_reference(content, width, height)
    style = style_reference(styles, style_weights, width, height) if styles else None
    return compare(stylized, reference, style)


def compare(stylized: np.ndarray, content: ContentReference | None, style: StyleReference | None) -> dict[str, float]:
    """Return what `measure` returns, given what the picture is compared with; None for a missing image.

    Args:
        stylized: The picture, HWC uint8 RGB.
        content: The reference of its content image at the size of the picture.
        style: The reference of its style at the size of the picture.
    """
    grey = luminance(stylized)
    colours = palette.project(palette.sample(stylized))
    found: dict[str, float] = {}
    if content is not None:
        found["ssim_content"] = ssim(_shrink(grey), content.shrunk)
        found["gmsd_content"] = gmsd(grey, content.grey)
        found["psnr_content"] = psnr(stylized, content.array)
        found["palette_distance_content"] = palette.gap(colours, content.colours)
    if style is not None:
        found["palette_distance_style"] = palette.gap(colours, style.colours)
        found["histogram_distance_style"] = colour_histogram.gap(colour_histogram.histogram(stylized), style.histogram)
        textures = texture.gap(texture.project(_shrink(stylized)), style.textures)
        if textures is not None:
            found["texture_distance_style"] = textures
    found["colorfulness"] = colorfulness(stylized)
    found["contrast"] = float(grey.std() / 255)
    found["pixel_noise"] = noise(grey)
    found["total_variation"] = total_variation(stylized)
    found["saturated_share"] = float(((stylized == 0) | (stylized == 255)).mean())
    return {name: found[name] for name in METRICS if name in found}


def luminance(array: np.ndarray) -> np.ndarray:
    """Return the ITU-R BT.601 luma of HWC uint8 RGB, float32 in 0..255, shape (H, W)."""
    return array @ np.array([0.299, 0.587, 0.114], np.float32)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean structural similarity of two (H, W) greyscale pictures in 0..255, over all windows inside.

    Source:
        Wang, Bovik, Sheikh & Simoncelli 2004: Gaussian window of 11 x 11 pixels with sigma 1.5, K1 = 0.01, K2 = 0.03.
        Differs: a picture with a side below 11 pixels gets the largest odd window that fits.
    """
    side = min(11, (min(a.shape) - 1) // 2 * 2 + 1)
    offsets = np.arange(side) - side // 2
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = (window / window.sum()).astype(np.float32)

    def blur(x: np.ndarray) -> np.ndarray:
        for axis in (0, 1):
            n = x.shape[axis] - side + 1
            shifted = [x[i : i + n] if axis == 0 else x[:, i : i + n] for i in range(side)]
            x = window[0] * shifted[0]
            part = np.empty_like(x)  # one array for all products takes a third of the time of an array for each
            for w, neighbour in zip(window[1:], shifted[1:], strict=True):
                x += np.multiply(w, neighbour, out=part)
        return x

    # Moments around a common offset: with squares of 255, float32 would lose small variances.
    a, b = a - np.float32(128), b - np.float32(128)
    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b, cov = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2, blur(a * b) - mean_a * mean_b
    mean_a, mean_b = mean_a + 128, mean_b + 128
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    luma = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luma * (2 * cov + c2) / (var_a + var_b + c2)).mean(dtype=np.float64))


def gmsd(a: np.ndarray, b: np.ndarray) -> float:
    """Return the standard deviation of the gradient magnitude similarity of two (H, W) greyscale pictures in 0..255.

    It is 0 for pictures with a side below 6 pixels.

    Source:
        Xue, Zhang, Mou & Bovik 2014: averaged over 2 x 2 pixels, Prewitt gradients, c = 170. Differs: only pixels with
        all neighbours count; theirs pads borders with zeros.
    """
    if min(a.shape) < 6:
        return 0.0
    first, second = (_prewitt(_halve(x)) for x in (a, b))
    similarity = (2 * first * second + 170) / (first**2 + second**2 + 170)
    return float(similarity.std(dtype=np.float64))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio of two uint8 pictures in dB, at most 100."""
    mse = np.square(a.astype(np.float32) - b).mean(dtype=np.float64)
    return min(100.0, float(10 * np.log10(255.0**2 / mse))) if mse > 0 else 100.0


def colorfulness(array: np.ndarray) -> float:
    """Return the colourfulness of HWC uint8 RGB: sigma + 0.3 mu of the opponent colours R-G and (R+G)/2-B.

    Source:
        Hasler & Suesstrunk 2003, equation of M(3).
    """
    r, g, b = (array[..., i].astype(np.float32) for i in range(3))
    rg, yb = r - g, 0.5 * (r + g) - b
    spread = np.hypot(rg.std(dtype=np.float64), yb.std(dtype=np.float64))
    return float(spread + 0.3 * np.hypot(rg.mean(dtype=np.float64), yb.mean(dtype=np.float64)))


def noise(grey: np.ndarray) -> float:
    """Return the standard deviation of the pixel noise of an (H, W) picture, in the picture's units.

    The difference of two Laplacians ignores edges and gradients; Gaussian noise becomes noise with 6 times its standard
    deviation. The result is 0 for pictures with a side below 3 pixels.

    Source:
        Immerkaer 1996, "Fast noise variance estimation".
    """
    if min(grey.shape) < 3:
        return 0.0
    rows = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    difference = rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(difference).mean(dtype=np.float64))


def total_variation(array: np.ndarray) -> float:
    """Return the mean absolute differences of right and of lower neighbours, added and divided by 255."""
    x = array.astype(np.int16)
    steps = (np.abs(np.diff(x, axis=axis)) for axis in (0, 1))
    return float(sum(s.mean(dtype=np.float64) for s in steps if s.size) / 255)


def _factor(width: int, height: int) -> int:
    """Return the whole number by which pictures are shrunk, so that their short side is about 256 pixels."""
    return max(1, round(min(width, height) / 256))


def _shrink(picture: np.ndarray) -> np.ndarray:
    """Return block means with a short side of about 256, which the authors of SSIM advise for a viewer's distance."""
    factor = _factor(*picture.shape[:2])
    if factor == 1:
        return picture
    height, width = (side // factor for side in picture.shape[:2])
    cut = picture[: height * factor, : width * factor]
    blocks = cut.reshape(height, factor, width, factor, *picture.shape[2:])
    means: np.ndarray = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def _halve(x: np.ndarray) -> np.ndarray:
    """Return the means over squares of 2 x 2 pixels."""
    height, width = (s // 2 * 2 for s in x.shape)
    x = x[:height, :width]
    mean: np.ndarray = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
    return mean


def _prewitt(x: np.ndarray) -> np.ndarray:
    """Return the lengths of gradients by 3 x 3 Prewitt filters with weights 1/3, without the borders."""
    down = x[2:] - x[:-2]
    right = x[:, 2:] - x[:, :-2]
    dy = (down[:, :-2] + down[:, 1:-1] + down[:, 2:]) / 3
    dx = (right[:-2] + right[1:-1] + right[2:]) / 3
    length: np.ndarray = np.hypot(dx, dy)
    return length
