"""Where a batch begins: refusals, the sizes of its pyramid and its starting pictures. Knows no loss.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.architectures import deepest, layers_of, least_side
from nst.config.method import PixelMethod
from nst.errors import InputError
from nst.pictures.images import Pixels, resize_to, target_size

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

    from nst.config.backbone import BackboneConfig
    from nst.workspace import Request

GREY = Pixels("grey", np.array([[[124, 117, 104]]], np.uint8))
"""The mean colour of ImageNet, which every backbone's input is centred on."""


def missing_image(request: Request) -> InputError | None:
    """Return an error for a request without an image that its method needs, or None.

    Example:
        >>> missing_image(Request("cell", content, (), (), "targets", GatysConfig())).message
        'gatys needs a style image; found none'
    """
    there = {"content": request.content is not None, "style": bool(request.styles)}
    for kind in sorted(request.config.needs):
        if not there[kind]:
            return InputError(f"{request.config.name} needs a {kind} image; found none")
    return None


def too_thin(
    what: str, size: tuple[int, int], layers: Collection[str], backbone: BackboneConfig, *, patch: int = 1
) -> InputError | None:
    """Return an error for an image that vanishes on its way to the deepest of the layers, or None.

    Args:
        what: The image in words.
        size: Its width and height where they are smallest.
        layers: The layers it is seen by.
        backbone: For its padding.
        patch: Smallest side that is wanted of its feature maps.

    Example:
        >>> too_thin("content", (64, 10), ["relu4_1"], GatysConfig().backbone) is None  # 8 pixels a position
        True
    """
    if foreign := [layer for layer in layers if layer not in layers_of(backbone.name)]:
        return InputError(f"{backbone.name} has no layer {', '.join(foreign)}")
    # Reflection needs two pixels there.
    layer = deepest(backbone.name, layers)
    needed = least_side(backbone.name, layer, max(patch, 1 if backbone.padding == "zeros" else 2))
    if min(size) >= needed:
        return None
    return InputError(
        f"the {what} image is {size[0]} x {size[1]} pixels at its smallest size; {layer} needs {needed}",
        hint="raise size, lower pyramid.levels, or choose shallower layers",
    )


def picture_size(request: Request) -> tuple[int, int]:
    """Return (width, height) of the picture.

    The settings decide alone where no content image takes part (`Method.canvas`); otherwise the picture has the
    proportions of the content image, or of its mask where the content is a mask alone.

    Example:
        >>> picture_size(Request("cell", content, (style,), (1.0,), "targets", GatysConfig(size=64)))
        (64, 48)
    """
    config = request.config
    if config.canvas:
        return config.canvas
    if request.content:
        rows, columns = request.content.array.shape[:2]
    else:
        assert request.content_mask is not None, "requests without a content were refused"
        rows, columns = request.content_mask.index.shape
    return target_size(columns, rows, config.size, config.resize)


def plan_levels(request: Request) -> list[tuple[int, int, int]]:
    """Return (width, height, steps) of every level, coarse to fine; the last level has the wanted size.

    Example:
        >>> config = GatysConfig(size=64, steps=10, pyramid={"levels": 2})
        >>> plan_levels(Request("cell", content, (style,), (1.0,), "targets", config))
        [(32, 24, 10), (64, 48, 10)]
    """
    config = request.config
    assert isinstance(config, PixelMethod), "other methods take no steps"
    width, height = picture_size(request)
    return [
        (max(1, round(width * scale)), max(1, round(height * scale)), steps)
        for scale, steps in config.pyramid.schedule(config.steps)
    ]


def starting_pictures(
    sources: Sequence[tuple[Pixels, float, int]],
    width: int,
    height: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return each cell's starting picture in [0, 1], shape (B, 3, H, W).

    Noise is uniform, of each cell's own seed, and drawn on the CPU: equal on every device and in every batch.

    Args:
        sources: Per cell an image, the share of noise mixed into it, and its seed.
        width: Of the pictures.
        height: The same.
        device: Where they are wanted.
        dtype: Their type.

    Source:
        Gatys, Ecker & Bethge 2016, section 2.3 (white noise); the share of noise of a start from an image:
        cysmith/neural-style-tf@a2c374f `noise_ratio`.

    Example:
        >>> starting_pictures([(content, 0.0, 0)], 32, 24, torch.device("cpu"), torch.float32).shape
        torch.Size([1, 3, 24, 32])
    """
    pictures = []
    for image, share, seed in sources:
        picture_3HW = torch.zeros((3, height, width), dtype=torch.float64)
        if share < 1.0:
            array = np.ascontiguousarray(resize_to(image.array, width, height))
            picture_3HW = torch.from_numpy(array).permute(2, 0, 1).double() / 255.0 * (1.0 - share)
        if share > 0.0:
            generator = torch.Generator().manual_seed(seed)
            picture_3HW = picture_3HW + share * torch.rand((3, height, width), generator=generator).double()
        pictures.append(picture_3HW)
    return torch.stack(pictures).to(device=device, dtype=dtype)
