"""Where a batch begins: the sizes of its pyramid and its starting pictures. Knows no loss.

Shape letters: B images, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from nst.images import resize_to, target_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nst.config.gatys import GatysConfig
    from nst.workspace import Pixels, Request


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
