"""The start of a batch: reasons to refuse a request, the sizes of its pyramid, its starting pictures. Knows no loss.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.config.method import PixelMethod
from nst.errors import InputError
from nst.ops import resize
from nst.pictures.fitting import levels_of, size_after
from nst.pictures.images import Pixels, resize_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.workspace import Request

GREY = Pixels("grey", np.array([[[124, 117, 104]]], np.uint8))
"""A pixel of the mean colour of ImageNet, on which the inputs of all backbones are centred."""


def missing_image(request: Request) -> InputError | None:
    """Return an error for a request that lacks an image that its method needs, or None.

    Example:
        >>> missing_image(Request("cell", content, (), (), "targets", GatysConfig())).message
        'gatys needs a style image; found none'
    """
    present = {"content": request.content is not None, "style": bool(request.styles)}
    for kind in sorted(request.config.needs):
        if not present[kind]:
            return InputError(f"{request.config.name} needs a {kind} image; found none")
    return None


def picture_size(request: Request) -> tuple[int, int]:
    """Return (width, height) of the picture in pixels.

    Without a content image the settings alone decide (`Method.canvas`). Otherwise the picture has the proportions of
    the content image, or of the mask if the content is a mask without an image.

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
        assert request.content_mask is not None, "requests without a content image or mask were refused"
        rows, columns = request.content_mask.index.shape
    return size_after(config, columns, rows)


def plan_levels(request: Request) -> list[tuple[int, int, int]]:
    """Return (width, height, steps) of every level, coarse to fine; the last level has the size of the picture.

    Example:
        >>> config = GatysConfig(size=64, steps=10, pyramid={"levels": 2})
        >>> plan_levels(Request("cell", content, (style,), (1.0,), "targets", config))
        [(32, 24, 10), (64, 48, 10)]
    """
    config = request.config
    assert isinstance(config, PixelMethod), "other methods take no steps"
    width, height = picture_size(request)
    return levels_of(config, width, height)


def starting_pictures(
    sources: Sequence[tuple[Pixels, float, int]],
    width: int,
    height: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return the starting picture of each cell in [0, 1], shape (B, 3, H, W).

    Noise is uniform in [0, 1] and drawn on the CPU by the seed of each cell, so that it is equal on every device and in
    every batch.

    Args:
        sources: For each cell, the image it starts from, the share of noise mixed into the image, and the seed.
        width: Width of the pictures in pixels.
        height: Height of the pictures in pixels.
        device: Device of the result.
        dtype: Type of the result.

    Source:
        Gatys, Ecker & Bethge 2016, section 2.3 (white noise); cysmith/neural-style-tf@a2c374f `noise_ratio` (the share
        of noise in a start from an image).

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


def start_detail(
    sources: Sequence[tuple[Pixels, float, int]],
    size: tuple[int, int],
    before: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensor:
    """Return what the images that pictures start from show at one size and not at a smaller one, shape (B, 3, H, W).

    A picture that was optimised at the smaller size and is enlarged lacks all that the smaller size cannot show. With
    this added, it starts the larger size as its image did, changed by what was optimised; a picture that equals its
    image goes on equal to it.

    Args:
        sources: As for `starting_pictures`; of an image into which noise is mixed, its share.
        size: (width, height) of the larger size.
        before: (width, height) of the smaller one.
        device: Device of the result.
        dtype: Type of the result.

    Source:
        google/deepdream `dream.ipynb` carries what it has changed from octave to octave in the same way; peers of style
        transfer (jcjohnson/neural-style's multiresolution scripts, crowsonkb/style-transfer-pytorch) only enlarge.

    Example:
        >>> start_detail([(content, 0.0, 0)], (32, 24), (16, 12), torch.device("cpu"), torch.float32).shape
        torch.Size([1, 3, 24, 32])
    """
    images = [(image, 0.0, seed) for image, _, seed in sources]
    large_B3HW, small_B3HW = (starting_pictures(images, *each, device, dtype) for each in (size, before))
    shares_B111 = torch.tensor([1.0 - share for _, share, _ in sources], device=device, dtype=dtype).view(-1, 1, 1, 1)
    return shares_B111 * (large_B3HW - resize(small_B3HW, size[1], size[0]))
