"""Baselines: pictures without style transfer, against which metrics and methods are judged.

Knows no network, no file and no catalog. Shape letters: H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nst.config.baseline import BaselineConfig
from nst.methods.descent import configs_of, run_accepted
from nst.methods.start import missing_image, picture_size
from nst.pictures.blurring import gaussian_blur
from nst.pictures.color import match_colors
from nst.pictures.images import cover, resize_to
from nst.workspace import Stylized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nst.methods.descent import OnStep
    from nst.workspace import Request, Workspace


def stylize_batch(requests: Sequence[Request], workspace: Workspace, on_step: OnStep | None = None) -> list[Stylized]:
    """Return one picture or error per request. No loss is measured, and no step is taken.

    Source:
        Our own choice of pictures that no viewer takes for a stylization, and that single scores prefer nevertheless:
        the content itself has the best structural similarity, the style itself the best Gram matrices. The colours of
        `kind: colors` are those of Gatys et al. 2016, "Preserving color in neural artistic style transfer", section
        3.1, with content and style in each other's place.

    Example:
        >>> request = Request("cell", content, (style,), (1.0,), "targets", BaselineConfig(size=32))
        >>> bool((stylize_batch([request], workspace)[0].image == content.array).all())  # its size is 32 x 24
        True
    """
    del workspace
    return run_accepted(requests, missing_image, lambda accepted: _run(accepted, on_step))


def _run(requests: Sequence[Request], on_step: OnStep | None) -> list[Stylized]:
    results = []
    for request, config in zip(requests, configs_of(requests, BaselineConfig), strict=True):
        results.append(Stylized(request.cell_id, _picture(request, config), None, (), 0))
        if on_step is not None:
            on_step(len(results), len(requests))
    return results


def _picture(request: Request, config: BaselineConfig) -> np.ndarray:
    """Return the picture of a request, HWC uint8 RGB."""
    assert request.content is not None, "requests without a content image were refused"
    width, height = picture_size(request)
    content = resize_to(request.content.array, width, height)
    match config.kind:
        case "content":
            return content
        case "style":
            return _mixed(request, [cover(style.array, width, height) for style in request.styles])
        case "colors":
            return _mixed(request, [match_colors(content, style.array) for style in request.styles])
        case "blur":
            return _to_bytes(gaussian_blur(content, config.blur_sigma * max(width, height)))
        case "noise":
            noise = np.random.default_rng(config.seed).normal(0.0, 255.0 * config.noise_sigma, content.shape)
            return _to_bytes(content + noise)


def _mixed(request: Request, pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of pictures of one size, by the weights of the request's style images."""
    return _to_bytes(np.average(np.stack(pictures), axis=0, weights=request.style_weights))


def _to_bytes(values: np.ndarray) -> np.ndarray:
    """Return values on the scale of 0..255 as uint8, clipped and rounded."""
    rounded: np.ndarray = np.rint(values.clip(0.0, 255.0)).astype(np.uint8)
    return rounded
