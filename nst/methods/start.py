"""Where a batch begins: the sizes of its pyramid and its starting pictures. Knows no loss.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.errors import InputError
from nst.images import resize_to, target_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.gatys import GatysConfig
    from nst.workspace import Pixels, Request


def refusal(request: Request) -> InputError | None:
    """Return why a request cannot run at all, or None: a picture is missing, or too thin for the backbone."""
    config: GatysConfig = request.config
    if request.content is None:
        return InputError("gatys needs a content image; found none")
    if not request.styles:
        return InputError("gatys needs a style image; found none")
    width, height, _ = plan_levels(config, request.content)[0]
    sizes = [("content", config.content_layers | config.style_layers, (width, height))]
    styles = [style_size(style, max(width, height) * config.style_scale) for style in request.styles]
    sizes += [("style", config.style_layers, size) for size in styles]
    for what, layers, size in sizes:
        # Block n sees the picture halved n - 1 times; reflection needs two pixels there.
        deepest = max(layers, key=lambda layer: (int(layer[4]), layer.startswith("pool")))
        halvings = int(deepest[4]) - (not deepest.startswith("pool"))
        needed = 2**halvings * (1 if config.backbone.padding == "zeros" else 2)
        if min(size) < needed:
            return InputError(
                f"the {what} image is {size[0]} x {size[1]} pixels at its smallest size; {deepest} needs {needed}",
                hint="raise size, lower pyramid.levels, or choose shallower layers",
            )
    return None


def style_size(style: Pixels, long_side: float) -> tuple[int, int]:
    """Return (width, height) of a style image whose long side is given."""
    height, width = style.array.shape[:2]
    scale = long_side / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def plan_levels(config: GatysConfig, content: Pixels) -> list[tuple[int, int, int]]:
    """Return (width, height, steps) of every level, coarse to fine; the last has the wanted size."""
    rows, columns = content.array.shape[:2]
    width, height = target_size(columns, rows, config.size, config.resize)
    levels = []
    for level in range(config.pyramid.levels):
        scale = config.pyramid.factor ** (config.pyramid.levels - 1 - level)
        steps = config.pyramid.first_steps if level == 0 and config.pyramid.first_steps else config.steps
        levels.append((max(1, round(width * scale)), max(1, round(height * scale)), steps))
    return levels


def starting_pictures(
    requests: Sequence[Request], width: int, height: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return each cell's starting picture in [0, 1], shape (B, 3, H, W).

    Noise is uniform, of each cell's own seed, and drawn on the CPU: equal on every device and in every batch.

    Source:
        Gatys, Ecker & Bethge 2016, section 2.3 (white noise); the share `noise` of a start from an image:
        cysmith/neural-style-tf@a2c374f `noise_ratio`.
    """
    pictures = []
    for request in requests:
        config = request.config
        share = 1.0 if config.init == "noise" else config.noise
        picture_3HW = torch.zeros((3, height, width), dtype=torch.float64)
        if share < 1.0:
            source = request.content if config.init == "content" else request.styles[0]
            assert source is not None, "checked before"
            array = np.ascontiguousarray(resize_to(source.array, width, height))
            picture_3HW = torch.from_numpy(array).permute(2, 0, 1).double() / 255.0 * (1.0 - share)
        if share > 0.0:
            generator = torch.Generator().manual_seed(config.seed)
            picture_3HW = picture_3HW + share * torch.rand((3, height, width), generator=generator).double()
        pictures.append(picture_3HW)
    return torch.stack(pictures).to(device=device, dtype=dtype)
