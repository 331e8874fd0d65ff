"""Motion that never was: photographs moved by smooth random flow, by which a network learns to be steady on clips.

Shape letters: B pictures, H rows, W columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_STREAM: Final = 11
"""Number of this file's stream of random numbers, independent of the streams of `nst.training.sampler`."""

_SPACING: Final = 100
_SPREAD: Final = 8.0
_SHIFT: Final = 10.0
"""Pixels between the points at which displacements are drawn, their standard deviation, and the largest common shift
along an axis, all in pixels."""

_NOISE: Final = (0.001, 0.002)
"""Least and largest standard deviation of the noise, in units of the [0, 1] range."""


def fake_flow(height: int, width: int, seed: int) -> Tensor:
    """Return where each position is found in the picture that is moved: (x, y) in pixels, shape (2, H, W), float32.

    Source:
        Wang et al. 2020 ("Consistent video style transfer via relaxation and regularization", compound regularization)
        and linfengWen98/CAP-VSTNet utils/TemporalLoss.py, for the numbers. Differs: displacements between the points
        are interpolated by cubic splines; theirs are blurred.

    Example:
        >>> fake_flow(32, 48, seed=0).shape
        torch.Size([2, 32, 48])
    """
    random = np.random.default_rng([seed, _STREAM])
    points = (2, max(2, round(height / _SPACING) + 1), max(2, round(width / _SPACING) + 1))
    drawn = _SPREAD * random.standard_normal(points) + random.uniform(-_SHIFT, _SHIFT, (2, 1, 1))
    coarse_12hw = torch.from_numpy(drawn).float()[None]
    flow_2HW: Tensor = functional.interpolate(coarse_12hw, (height, width), mode="bicubic", align_corners=True)[0]
    return flow_2HW


def moved(pictures_B3HW: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return each picture moved along its `fake_flow`; positions beyond the borders take the nearest border's colours.

    Example:
        >>> moved(torch.full((1, 3, 32, 48), 0.5), [0]).unique()
        tensor([0.5000])
    """
    height, width = pictures_B3HW.shape[2:]
    flow_B2HW = torch.stack([fake_flow(height, width, seed) for seed in seeds]).to(pictures_B3HW)
    rows_H, columns_W = (torch.arange(size, device=pictures_B3HW.device) for size in (height, width))
    x_BHW = (flow_B2HW[:, 0] + columns_W) * (2.0 / max(1, width - 1)) - 1.0
    y_BHW = (flow_B2HW[:, 1] + rows_H[:, None]) * (2.0 / max(1, height - 1)) - 1.0
    places_BHW2 = torch.stack([x_BHW, y_BHW], dim=3)
    return functional.grid_sample(pictures_B3HW, places_BHW2, padding_mode="border", align_corners=True)


def noisy(pictures_B3HW: Tensor, seeds: Sequence[int]) -> Tensor:
    """Return the pictures with a little noise, as a camera's frames have it."""
    layers = []
    for seed in seeds:
        random = np.random.default_rng([seed, _STREAM, 1])
        layers.append(random.uniform(*_NOISE) * random.standard_normal(pictures_B3HW.shape[1:]))
    return pictures_B3HW + torch.from_numpy(np.stack(layers)).to(pictures_B3HW)
